"""Page images in the terminal: small ones for ``vdr search --thumbnails``, or one large."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from vdr_integrations.cli.terminal.exits import say_error
from vdr_integrations.errors import MissingExtraError, OptionError, PageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from vdr_integrations.cli.options.indexes import Index
    from vdr_integrations.cli.terminal.terminal_pictures import PictureProtocol
    from vdr_integrations.types import Hit

__all__ = ["drawn_in_terminal", "terminal_protocol", "thumbnail_text"]

_COLUMNS = 30
_ROWS = 20


def terminal_protocol() -> PictureProtocol:
    """How the terminal on stdout can show images.

    Raises:
        OptionError: It cannot, or stdout is not a terminal.
    """
    from vdr_integrations.cli.terminal.terminal_pictures import picture_protocol

    if not sys.stdout.isatty():
        raise OptionError("images are drawn only in a terminal, and stdout is not a terminal.")
    return picture_protocol(os.environ, encoding=sys.stdout.encoding)


def thumbnail_text(
    index: Index, protocol: PictureProtocol, *, password: str | None
) -> Callable[[Hit], str]:
    """A function that returns the text that draws a hit.

    If the image of a page is not available, it writes an error line and returns an empty text.

    Args:
        index: Index that finds the hits.
        protocol: How the terminal shows images.
        password: Password of encrypted PDFs.
    """
    from vdr_integrations.cli.terminal.terminal_pictures import picture_text
    from vdr_integrations.index.page_pictures import page_picture

    budget = index.manifest.pixel_budget
    columns = max(1, min(_COLUMNS, shutil.get_terminal_size().columns))

    def drawn(hit: Hit) -> str:
        try:
            picture = page_picture(hit, budget=budget, password=password).image
        except (PageError, MissingExtraError, OSError) as error:
            say_error(str(error))
            return ""
        return picture_text(picture, protocol, columns=columns, rows=_ROWS)

    return drawn


def drawn_in_terminal(picture: Image.Image) -> str:
    """The text that draws an image as large as the terminal.

    Raises:
        OptionError: See :func:`terminal_protocol`.
    """
    from vdr_integrations.cli.terminal.terminal_pictures import picture_text

    columns, lines = shutil.get_terminal_size()
    rows = max(1, lines - 2)  # room for the prompts before and after
    return picture_text(picture, terminal_protocol(), columns=max(1, columns), rows=rows)
