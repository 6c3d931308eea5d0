"""The door to files: what is no regular file of an allowed size is refused before it is opened."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError, PageError, ResourceError, VdrError

if TYPE_CHECKING:
    from collections.abc import Generator
    from io import BufferedReader

__all__ = [
    "FileSource",
    "check_file",
    "file_content",
    "open_regular",
    "refuse_shortage",
    "source_name",
    "whole_file",
]

FileSource = str | Path | bytes | bytearray | BytesIO
"""A ``str`` is a path."""

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_READ_ONLY = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
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


def file_content(
    source: FileSource, *, source_name: str, max_file_bytes: int, error: type[PageError]
) -> Path | bytes:
    """What to open: the absolute path of a regular file, or bytes; both within a limit of size.

    Args:
        source: Path or content; a BytesIO counts as a whole, from its start. URLs are not opened.
        source_name: Name of the source in error messages.
        max_file_bytes: Largest size.
        error: Raised when the file is missing, no regular file, or too large.

    Raises:
        OptionError: ``source`` has another type.
        ResourceError: This machine is short of memory.
    """
    if isinstance(source, str | Path):
        check_file(source, source_name=source_name, max_file_bytes=max_file_bytes, error=error)
        return Path(source).absolute()
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


def check_file(
    path: str | Path, *, source_name: str, max_file_bytes: int, error: type[PageError]
) -> None:
    """Refuse what is not a regular file of an allowed size; nothing is opened.

    Raises:
        PageError: Of the type ``error``: a URL, a missing file, a folder, a named pipe, a socket, a
            device, or a file above ``max_file_bytes``.
        ResourceError: This machine is short of file handles or memory.
    """
    _refuse_url(path, source_name, error)
    _check_status(_status(path, source_name, error), source_name, max_file_bytes, error)


@contextmanager
def open_regular(
    path: str | Path,
    *,
    source_name: str,
    max_file_bytes: int,
    error: type[PageError],
    unreadable: type[PageError] | None = None,
) -> Generator[tuple[BufferedReader, os.stat_result]]:
    """Open a regular file of an allowed size. Every file of a caller is opened here.

    Args:
        path: The file.
        source_name: Name of the file in error messages.
        max_file_bytes: Largest size; a larger file is refused before it is read.
        error: Raised when the file is refused.
        unreadable: Raised when the system does not let it be read, also in the block; None raises
            ``error``.

    Yields:
        The file, and its status from before anything was read.

    Raises:
        PageError: As :func:`check_file`.
        ResourceError: This machine is short of file handles or memory.
    """
    # Opening some devices does something, so they are refused before. What takes the place of the
    # file after that must not make this wait: a named pipe would, without O_NONBLOCK.
    unreadable = unreadable or error
    _refuse_url(path, source_name, error)
    _check_status(_status(path, source_name, unreadable), source_name, max_file_bytes, error)
    try:
        descriptor = os.open(path, _READ_ONLY)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            _check_status(status, source_name, max_file_bytes, error)
            yield file, status
    except OSError as problem:
        if isinstance(problem, VdrError):
            raise
        refuse_shortage(problem, source_name=source_name)
        raise unreadable(_why(problem), source=source_name) from None


def whole_file(
    path: str | Path, *, source_name: str, max_file_bytes: int, error: type[PageError]
) -> bytes:
    """The bytes of a regular file.

    Raises:
        PageError: As :func:`open_regular`, or the file changes while it is read.
        ResourceError: This machine is short of file handles or memory.
    """
    with open_regular(
        path, source_name=source_name, max_file_bytes=max_file_bytes, error=error
    ) as (file, status):
        data = file.read(status.st_size + 1)  # not the largest size: that much would be reserved
    if len(data) != status.st_size:
        raise error(
            f"it changed while it was read ({status.st_size:,} bytes before, "
            f"{len(data):,} or more now); read it again.",
            source=source_name,
        )
    return data


def _refuse_url(path: str | Path, source_name: str, error: type[PageError]) -> None:
    url = _URL.match(path) if isinstance(path, str) else None
    if url is not None:
        raise error(
            f"found a URL ({url[1].lower()}:), and URLs are not opened; "
            f"download the file and pass its path or its bytes.",
            source=source_name,
        )


def _status(path: str | Path, source_name: str, unreadable: type[PageError]) -> os.stat_result:
    try:
        return Path(path).stat()
    except (OSError, ValueError) as problem:
        refuse_shortage(problem, source_name=source_name)
        raise unreadable(_why(problem), source=source_name) from None


def _check_status(
    status: os.stat_result, source_name: str, max_file_bytes: int, error: type[PageError]
) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "no file")
        raise error(
            f"it is a folder or a device, not a file (found: {kind}); pass a file.",
            source=source_name,
        )
    _check_size(status.st_size, source_name, max_file_bytes, error)


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
