"""Encodes images as text that terminals draw.

The available libraries do not fit. term-image 0.7.2 needs pillow below 11. textual-image 0.12
queries the terminal over stdin when it is imported, but stdin may hold questions ("-"); and it has
no iTerm2 images.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Literal, TypeAlias

from PIL import Image

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["PictureProtocol", "cells_of", "picture_protocol", "picture_text"]

PictureProtocol: TypeAlias = Literal["kitty", "iterm", "blocks"]
"""kitty's graphics, iTerm2's inline images, or two pixels per character in 24-bit colour."""

_KITTY_PROGRAMS = frozenset({"kitty", "ghostty"})
_ITERM_PROGRAMS = frozenset({"iTerm.app", "WezTerm"})
_KITTY_CHUNK = 4096
"""Most base64 characters in one escape sequence; a multiple of 4."""

_COLUMN_PX = 10
"""Pixels per character, across, in a terminal that draws images."""

_UPPER_HALF = "\N{UPPER HALF BLOCK}"


def picture_protocol(environment: Mapping[str, str], *, encoding: str = "utf-8") -> PictureProtocol:
    """How a terminal can show images, according to environment variables.

    Args:
        environment: Variables of the process. tmux and screen do not pass images on, so there only
            colours count.
        encoding: Encoding of stdout; some do not have half blocks.

    Raises:
        OptionError: The terminal cannot show images, as far as is known.
    """
    terminal, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    is_multiplexed = "TMUX" in environment or terminal.startswith(("tmux", "screen"))
    if terminal != "dumb" and not is_multiplexed:
        if program in _ITERM_PROGRAMS or environment.get("LC_TERMINAL") == "iTerm2":
            return "iterm"
        is_kitty = terminal in {"xterm-kitty", "xterm-ghostty"} or "KITTY_WINDOW_ID" in environment
        if is_kitty or program in _KITTY_PROGRAMS:
            return "kitty"
    has_colours = environment.get("COLORTERM", "").lower() in {"truecolor", "24bit"}
    if terminal != "dumb" and has_colours and _has_blocks(encoding):
        return "blocks"
    raise OptionError(
        f"this terminal (TERM={terminal or 'not set'}) is not known to show images; use kitty, "
        f"Ghostty, WezTerm or iTerm2 outside tmux and screen, or a terminal with 24-bit colour "
        f"(COLORTERM=truecolor) and UTF-8."
    )


def cells_of(width: int, height: int, *, columns: int, rows: int) -> tuple[int, int]:
    """The columns and lines of an image: as large as fits, in its own shape.

    A character counts as twice as high as wide, as in nearly every terminal.

    Args:
        width: Width of the image, in pixels.
        height: Height of the image, in pixels.
        columns: Most columns, 1 or more.
        rows: Most lines, 1 or more.
    """
    scale = min(columns / width, 2 * rows / height)
    return max(1, round(width * scale)), max(1, min(rows, round(height * scale / 2)))


def picture_text(image: Image.Image, protocol: PictureProtocol, *, columns: int, rows: int) -> str:
    """The text that draws the image in a terminal, with a line break at the end.

    Args:
        image: Image in mode RGB.
        protocol: How the terminal shows images.
        columns: Most columns, 1 or more.
        rows: Most lines, 1 or more.
    """
    across, down = cells_of(image.width, image.height, columns=columns, rows=rows)
    if protocol == "blocks":
        shown = image.resize((across, 2 * down), Image.Resampling.LANCZOS)
        return "".join(_block_lines(shown))
    shown = image.copy()
    shown.thumbnail((across * _COLUMN_PX, 2 * down * _COLUMN_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    shown.save(file, format="PNG")
    if protocol == "kitty":
        return "".join(_kitty(file.getvalue(), across, down)) + "\n"
    return _iterm(file.getvalue(), across, down) + "\n"


def _kitty(png: bytes, columns: int, rows: int) -> Iterator[str]:
    """The file in chunks; with q=2 the terminal does not answer into the shell's input."""
    data = base64.b64encode(png).decode("ascii")
    for start in range(0, len(data), _KITTY_CHUNK):
        first = f"a=T,f=100,c={columns},r={rows}," if start == 0 else ""
        more = int(start + _KITTY_CHUNK < len(data))
        yield f"\x1b_G{first}q=2,m={more};{data[start : start + _KITTY_CHUNK]}\x1b\\"


def _iterm(png: bytes, columns: int, rows: int) -> str:
    data = base64.b64encode(png).decode("ascii")
    size = f"size={len(png)};width={columns};height={rows};preserveAspectRatio=1"
    return f"\x1b]1337;File=inline=1;{size}:{data}\x07"


def _block_lines(image: Image.Image) -> Iterator[str]:
    """Two pixels per character: the upper one is its colour, the lower one its background."""
    pixels = image.tobytes()
    stride = 3 * image.width
    for top in range(0, len(pixels), 2 * stride):
        cells: list[str] = []
        for at in range(top, top + stride, 3):
            upper = ";".join(map(str, pixels[at : at + 3]))
            lower = ";".join(map(str, pixels[at + stride : at + stride + 3]))
            cells.append(f"\x1b[38;2;{upper};48;2;{lower}m{_UPPER_HALF}")
        yield f"{''.join(cells)}\x1b[0m\n"


def _has_blocks(encoding: str) -> bool:
    try:
        _UPPER_HALF.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
