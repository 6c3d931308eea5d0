"""Writes the files that a command makes: each as a whole, or not at all."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["STDOUT", "write_output"]

STDOUT = Path("-")


def write_output(content: bytes, out: Path) -> None:
    """Write a file, or to stdout for ``-``.

    The file appears as a whole: if writing fails, an existing file stays as it was. A new file has
    the usual permissions, a replaced one keeps its own, and a link stays a link. What is not a
    regular file, such as ``/dev/null`` or a pipe, is written to directly.

    Raises:
        OSError: The file cannot be written, or its folder does not allow new files.
    """
    if out == STDOUT:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    place = out.resolve()
    try:
        before = place.stat()
    except FileNotFoundError:
        before = None
    if before is not None and not stat.S_ISREG(before.st_mode):
        out.write_bytes(content)
    else:
        _replace(place, content, None if before is None else stat.S_IMODE(before.st_mode))


def _replace(place: Path, content: bytes, mode: int | None) -> None:
    scratch = place.with_name(f".vdr-{secrets.token_hex(8)}.tmp")
    try:
        with scratch.open("xb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(place)
    except BaseException:
        with suppress(OSError):
            scratch.unlink()
        raise
