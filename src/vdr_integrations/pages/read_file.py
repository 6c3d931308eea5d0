"""Read a path or bytes that the caller passed, within a limit of size."""

from __future__ import annotations

import errno
import os
import re
import stat
from io import BytesIO
from pathlib import Path

from vdr_integrations.errors import OptionError, PageError, ResourceError

__all__ = ["FileSource", "read_source", "refuse_shortage", "source_name"]

FileSource = str | Path | bytes | bytearray | BytesIO
"""A ``str`` is a path."""

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII | re.IGNORECASE)


def source_name(source: object, *, name: str | None, fallback: str) -> str:
    """The name of an input in error messages and metadata: a name or path, never content.

    Args:
        source: The input that the caller passed.
        name: The caller's name for it, or None.
        fallback: The name of bytes and other inputs without a name.
    """
    if name is not None:
        return name
    if isinstance(source, Path):
        return str(source)
    # A base64 text that was passed as a path has no dot, and must not get into a message.
    if isinstance(source, str) and Path(source).suffix and not _URL.match(source):
        return source
    if isinstance(source, str) and _is_file(source):
        return source
    return fallback


def read_source(
    source: FileSource, *, source_name: str, max_file_bytes: int, error: type[PageError]
) -> bytes:
    """The bytes of a file, of bytes, or of a whole BytesIO from its start.

    Args:
        source: Path or content. URLs are not opened.
        source_name: Name of the source in error messages.
        max_file_bytes: Largest size; a larger file is refused before it is read.
        error: Raised when the file is missing, unreadable or too large.

    Raises:
        OptionError: ``source`` has another type.
        ResourceError: This machine cannot open more files.
    """
    if isinstance(source, str | Path):
        return _read_file(source, source_name, max_file_bytes, error)
    if isinstance(source, BytesIO):
        _check_size(source.getbuffer().nbytes, source_name, max_file_bytes, error)
        return source.getvalue()
    if isinstance(source, bytes | bytearray):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
        _check_size(len(source), source_name, max_file_bytes, error)
        return bytes(source)
    raise OptionError(
        f"{source_name}: a file is a path, bytes, bytearray or BytesIO, "
        f"found {type(source).__name__}."
    )


def refuse_shortage(problem: OSError | ValueError, *, source_name: str) -> None:
    """Raise an error if the machine caused a problem, and not the file.

    Args:
        problem: The error that was raised when the file was opened.
        source_name: Name of the file in error messages.

    Raises:
        ResourceError: The machine has too few file handles or too little memory.
    """
    if isinstance(problem, OSError) and problem.errno in _SHORTAGES:
        raise ResourceError(
            f"{source_name}: it was not opened, but the file is not the cause: "
            f"{os.strerror(problem.errno)}. Close other files, use fewer processes, or raise the "
            f"limit of this machine (ulimit -n)."
        ) from problem


def _read_file(
    path: str | Path, source_name: str, max_file_bytes: int, error: type[PageError]
) -> bytes:
    url = _URL.match(path) if isinstance(path, str) else None
    if url is not None:
        raise error(
            f"found a URL ({url[1].lower()}:), and URLs are not opened; "
            f"download the file and pass its path or its bytes.",
            source=source_name,
        )
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as problem:
        refuse_shortage(problem, source_name=source_name)
        raise error(_why(problem), source=source_name) from None
    if not stat.S_ISREG(status.st_mode):
        raise error("it is a folder or a device; pass a file.", source=source_name)
    _check_size(status.st_size, source_name, max_file_bytes, error)
    try:
        with Path(path).open("rb") as file:
            data = file.read(max_file_bytes + 1)
    except OSError as problem:
        refuse_shortage(problem, source_name=source_name)
        raise error(_why(problem), source=source_name) from None
    _check_size(len(data), source_name, max_file_bytes, error)  # it may have grown since
    return data


def _why(problem: OSError | ValueError) -> str:
    """The reason without the path, which may be content that was passed as a path."""
    if isinstance(problem, FileNotFoundError):
        return "there is no such file."
    if isinstance(problem, OSError) and problem.errno is not None:
        return f"it cannot be read: {os.strerror(problem.errno)}."
    return "it cannot be read: this is not a path."


def _check_size(
    found_bytes: int, source_name: str, max_file_bytes: int, error: type[PageError]
) -> None:
    if found_bytes > max_file_bytes:
        raise error(
            f"its size is {found_bytes:,} bytes; at most {max_file_bytes:,} are read. "
            f"Raise max_file_bytes of the limits, or split the file.",
            source=source_name,
        )


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False
