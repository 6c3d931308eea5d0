"""Writes an image to a file, or to stdout for ``-``."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["STDOUT", "write_picture"]

STDOUT = Path("-")


def write_picture(png: bytes, out: Path) -> None:
    """Write a PNG; an existing file is replaced."""
    if out == STDOUT:
        sys.stdout.buffer.write(png)
        sys.stdout.flush()
    else:
        out.write_bytes(png)
