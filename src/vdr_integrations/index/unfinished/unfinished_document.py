"""The file that keeps the pages of one document until it is committed.

Its first frame is a header, and each further one is a page. A writer appends; what it writes counts
page by page, so a killed writer loses at most the pages that it was writing.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Self

from vdr_integrations.index.records import FileState
from vdr_integrations.index.unfinished.frames import frame_bytes, read_frames
from vdr_integrations.index.unfinished.page_parts import page_of_parts, parts_of_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.staged_document import PreparedPage

__all__ = ["Header", "UnfinishedDocument", "count_pages", "read_header"]

_HEADER_KEY = b"unfinished document"
_SYNC_S = 5.0
"""A kill loses nothing that was written; only a power cut does, and then no more than this."""
_COPIED_AT_ONCE = 1 << 20
_BINARY = getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Header:
    """What is known about the document.

    Attributes:
        basis: Digest of the index, its settings and the versions that draw pages.
        key: Digest of everything that decides the pages, 64 hexadecimal digits; equal for two files
            with the same bytes.
        source: Name of the document.
        file: The file's state when its pages were encoded.
        total_pages: Number of pages of the document.
    """

    basis: str
    key: str
    source: str
    file: FileState
    total_pages: int

    def to_json(self) -> bytes:
        """The header as a part of a frame."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def of_json(cls, found: bytes) -> Self:
        """The header that :meth:`to_json` returned.

        Raises:
            ValueError: Not JSON.
            TypeError: Other fields, of another release.
            KeyError: Likewise.
        """
        fields = json.loads(found)
        file = FileState(**fields.pop("file"))
        return cls(file=file, **fields)


class UnfinishedDocument:
    """Keeps the pages of one document. Only the writer of the index uses it."""

    def __init__(self, path: Path, header: Header, settings: Settings) -> None:
        """Nothing is read or written yet.

        Args:
            path: The file; it may not exist.
            header: The header that it must have.
            settings: Settings of the index.
        """
        self._path = path
        self._header = header
        self._settings = settings
        self._end = 0
        """Where the next frame is written; what lies behind it does not count."""
        self._synced_s = time.monotonic()

    def pages(self) -> Iterator[PreparedPage]:
        """The kept pages, each once, one in memory at a time; altered ones are left out.

        Raises:
            OSError: The file cannot be read.
        """
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            found = _header(file, size)
            if found is None or not self._fits(found[0]):
                return
            self._end = found[1]
            seen: set[int] = set()
            for frame in read_frames(file, key=self._key, start=self._end, size=size):
                self._end = frame.end
                is_page = 1 <= frame.number <= self._header.total_pages
                if is_page and frame.parts is not None and frame.number not in seen:
                    seen.add(frame.number)
                    yield page_of_parts(frame.number, frame.parts, self._settings)

    def take_over(self, other: Path) -> None:
        """Begin with the pages of another file, which stays, if they are those of this document.

        Raises:
            OSError: A file cannot be read or written.
        """
        with other.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            found = _header(file, size)
            if found is None or not self._fits(found[0]):
                return
            file.seek(found[1])
            chunks = iter(lambda: file.read(_COPIED_AT_ONCE), b"")
            self._write(chain([_header_bytes(self._header)], chunks))

    def append(self, pages: Sequence[PreparedPage]) -> None:
        """Keep some more pages.

        Raises:
            OSError: The file system refuses, for example because the disk is full.
        """
        frames = [
            frame_bytes(page.record.page_number, parts_of_page(page, self._settings), key=self._key)
            for page in pages
        ]
        if not self._end:
            frames.insert(0, _header_bytes(self._header))
        self._write(frames)

    def remove(self) -> None:
        """Remove the file. One that cannot be removed now does no harm: ``tidy`` removes it."""
        self._end = 0
        with suppress(OSError):
            self._path.unlink()

    @property
    def _key(self) -> bytes:
        return bytes.fromhex(self._header.key)

    def _fits(self, found: Header) -> bool:
        own = self._header
        return (found.key, found.total_pages) == (own.key, own.total_pages)

    def _write(self, frames: Iterable[bytes]) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
        try:
            os.ftruncate(descriptor, self._end)
            os.lseek(descriptor, self._end, os.SEEK_SET)
            end = self._end
            for frame in frames:
                end += _write_whole(descriptor, frame)
            if time.monotonic() - self._synced_s >= _SYNC_S:
                os.fsync(descriptor)
                self._synced_s = time.monotonic()
        finally:
            os.close(descriptor)
        self._end = end


def read_header(path: Path) -> Header | None:
    """The header of a file; None if it is torn off, altered, or of another release.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        found = _header(file, os.fstat(file.fileno()).st_size)
    return None if found is None else found[0]


def count_pages(path: Path, header: Header, *, read_all: bool) -> int:
    """Number of pages that a file keeps.

    Args:
        path: The file.
        header: Its header.
        read_all: Read every byte, and count only pages that are as they were written.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        found = _header(file, size)
        if found is None or found[0] != header:
            return 0
        frames = read_frames(
            file, key=bytes.fromhex(header.key), start=found[1], size=size, with_parts=read_all
        )
        kept = {one.number for one in frames if one.parts is not None or not read_all}
    return sum(1 <= number <= header.total_pages for number in kept)


def _header_bytes(header: Header) -> bytes:
    return frame_bytes(0, (header.to_json(), b"", b""), key=_HEADER_KEY)


def _header(file: BinaryIO, size: int) -> tuple[Header, int] | None:
    """The header, and where the first page begins; None if it cannot be read."""
    frame = next(read_frames(file, key=_HEADER_KEY, start=0, size=size), None)
    if frame is None or frame.parts is None:
        return None
    try:
        return Header.of_json(frame.parts[0]), frame.end
    except (KeyError, TypeError, ValueError):
        return None


def _write_whole(descriptor: int, data: bytes) -> int:
    view = memoryview(data)
    done = 0
    while done < len(view):
        done += os.write(descriptor, view[done:])
    return done
