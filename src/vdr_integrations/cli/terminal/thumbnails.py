"""``vdr search --thumbnails``: small pictures of the pages found, in the terminal."""

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
    """How the terminal that stdout is takes pictures.

    Raises:
        OptionError: It takes none, or stdout is no terminal.
    """
    from vdr_integrations.cli.terminal.terminal_pictures import picture_protocol

    if not sys.stdout.isatty():
        raise OptionError("pictures are drawn in a terminal only, and stdout is none.")
    return picture_protocol(os.environ, encoding=sys.stdout.encoding)


def thumbnail_text(pictures: PagePictures, protocol: PictureProtocol) -> Callable[[Hit], str]:
    """A function that draws a hit; it reports an image that is not available, and draws nothing.

    Args:
        pictures: Of the index that finds the hits.
        protocol: The terminal's.
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
    """A picture as large as the terminal.

    Raises:
        OptionError: As :func:`terminal_protocol`.
    """
    from vdr_integrations.cli.terminal.terminal_pictures import picture_text

    columns, lines = shutil.get_terminal_size()
    rows = max(1, lines - 2)  # room for the prompts before and after
    return picture_text(picture, terminal_protocol(), columns=max(1, columns), rows=rows)
