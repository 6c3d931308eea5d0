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

    from vdr_integrations.cli.terminal.terminal_pictures import PictureProtocol
    from vdr_integrations.retrieval.page_pictures import PagePictures
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


def thumbnail_text(pictures: PagePictures, protocol: PictureProtocol) -> Callable[[Hit], str]:
    """A function that returns the text that draws a hit.

    If the image of a page is not available, it writes an error line and returns an empty text.

    Args:
        pictures: Images of the index that finds the hits.
        protocol: How the terminal shows images.
    """
    from vdr_integrations.cli.terminal.terminal_pictures import picture_text

    columns = max(1, min(_COLUMNS, shutil.get_terminal_size().columns))

    def drawn(hit: Hit) -> str:
        try:
            picture = pictures.indexed(hit).image
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
