"""Where a command writes a picture: a file, or ``-`` for stdout."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["STDOUT", "write_picture"]

STDOUT = Path("-")


def write_picture(png: bytes, out: Path) -> None:
    """Write a PNG, in place of what is there."""
    if out == STDOUT:
        sys.stdout.buffer.write(png)
        sys.stdout.flush()
    else:
        out.write_bytes(png)
