"""Writes the files that a command makes: each as a whole, or not at all."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path

from vdr_integrations.errors import OptionError
from vdr_integrations.pages.document_kind import named_kind

__all__ = ["STDOUT", "check_output", "write_output"]

STDOUT = Path("-")


def check_output(out: Path, *, option: str, suffix: str) -> None:
    """Refuse a place that cannot be written to, before work is done for it.

    Args:
        out: The file, or ``-`` for stdout.
        option: The option that names it.
        suffix: What the file is; a suffix of another kind of picture is refused.

    Raises:
        OptionError: It is a folder, its folder does not exist, or it has the wrong suffix.
    """
    if out == STDOUT:
        return
    if out.is_dir():
        raise OptionError(f"{option} {out}: it is a folder; name a file in it.")
    folder = out.resolve().parent
    if not folder.is_dir():
        raise OptionError(f"{option} {out}: the folder {folder} does not exist; create it.")
    kind = out.suffix.lower()
    if kind != suffix and named_kind(out) is not None:
        raise OptionError(f"{option} {out}: the file is written as {suffix}, found {kind}.")


def write_output(content: bytes, out: Path) -> None:
    """Write a file, or to stdout for ``-``.

    The file appears as a whole: if writing fails, an existing file stays as it was. A new file has
    the usual permissions, a replaced one keeps its own, and a link stays a link. What is not a
    regular file, such as ``/dev/null`` or a pipe, is written to directly.

    Raises:
        OptionError: The file cannot be written, or its folder does not allow new files.
    """
    if out == STDOUT:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    try:
        _write(content, out)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OptionError(
            f"{out}: it cannot be written ({error.strerror or type(error).__name__}); make room "
            f"there, or name another file."
        ) from error


def _write(content: bytes, out: Path) -> None:
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
                _set_mode(file.fileno(), scratch, mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(place)
    except BaseException:
        with suppress(OSError):
            scratch.unlink()
        raise


def _set_mode(descriptor: int, path: Path, mode: int) -> None:
    """Of the open file, where the system can: its name may have been given to another file."""
    if hasattr(os, "fchmod"):  # not on Windows before Python 3.13
        os.fchmod(descriptor, mode)
    else:
        path.chmod(mode)
