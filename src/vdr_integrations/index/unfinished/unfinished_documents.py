"""All unfinished documents of an index: one file each, in one folder.

A file is named by what decides its pages, and by its document. So the pages of a file that was
moved are found under its new name, and nothing that was made in another way is ever found.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import filelock

from vdr_integrations.encoders.checkpoints.digests import digest_of
from vdr_integrations.index.sync.changed_files import what_became_of
from vdr_integrations.index.unfinished.unfinished_document import (
    Header,
    UnfinishedDocument,
    count_pages,
    read_header,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    from vdr_integrations.index.engine import Engine
    from vdr_integrations.index.records import FileState
    from vdr_integrations.index.staged_document import PreparedPage
    from vdr_integrations.types import PixelBudget

__all__ = ["Keeper", "UnfinishedDocuments", "UnfinishedPages"]

_FORMAT = 1
_LOCK_NAME = "writer.lock"
_NAME = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}\.pages", re.ASCII)
_LONGEST_S = 30 * 86_400
DRAWN_BY = ("vdr-integrations", "pymupdf", "pillow")
"""Packages that decide how pages are drawn. Another version may draw another image."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UnfinishedPages:
    """What is kept of documents that are not in the index yet.

    Attributes:
        documents: Number of documents of which pages are kept.
        pages: Number of these pages.
    """

    documents: int
    pages: int

    def __str__(self) -> str:
        """As a sentence: ``224 pages of 1 unfinished document are kept``."""
        pages = "1 page" if self.pages == 1 else f"{self.pages:,} pages"
        documents = f"{self.documents:,} unfinished document{'' if self.documents == 1 else 's'}"
        return f"{pages} of {documents} {'is' if self.pages == 1 else 'are'} kept"


class UnfinishedDocuments:
    """Keeps pages between runs. Only who holds the lock of the index may change anything here.

    Nothing here ends a run: if the file system refuses, pages are encoded again.
    """

    def __init__(self, engine: Engine) -> None:
        """Look at nothing yet."""
        self._engine = engine
        self._lock: filelock.FileLock | None = None
        self._depth = 0
        self._known_basis: str | None = None
        self._is_refused = False

    def kept(self, *, read_all: bool = False) -> UnfinishedPages:
        """What is kept; any process may ask, and nothing is written.

        Args:
            read_all: Read every byte, and count only pages that are as they were written.
        """
        basis = self._basis() if self._folder.is_dir() else ""
        counts: list[int] = []
        for path in self._files():
            with suppress(OSError):
                header = read_header(path)
                if header is not None and header.basis == basis:
                    counts.append(count_pages(path, header, read_all=read_all))
        return UnfinishedPages(sum(count > 0 for count in counts), sum(counts))

    def sources(self) -> list[str]:
        """Names of the documents of which something is kept, sorted."""
        found: set[str] = set()
        for path in self._files():
            with suppress(OSError):
                header = read_header(path)
                if header is not None:
                    found.add(header.source)
        return sorted(found)

    @contextmanager
    def used(self) -> Generator[None]:
        """Use this for one run, under the lock of the index."""
        if not self._depth:
            self._is_refused = False
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._known_basis = None
                if self._lock is not None:
                    self._lock.release()
                    self._lock = None

    def keeper(
        self, source: str, file: FileState, *, total_pages: int, drawn_for: PixelBudget
    ) -> Keeper:
        """Where the pages of a document are kept.

        Args:
            source: Name of the document.
            file: State of its file.
            total_pages: Number of its pages.
            drawn_for: The pixel budget for which they are drawn.
        """
        basis = self._basis()
        facts = {"basis": basis, "drawn_for": asdict(drawn_for), "sha256": file.sha256}
        header = Header(basis, digest_of(facts), source, file, total_pages)
        path = self._folder / f"{header.key[:32]}-{_digits(source)}.pages"
        document = UnfinishedDocument(path, header, self._engine.settings)
        if self._folder.is_dir() and self._is_ours() and not path.exists():
            others = [one for one in self._files() if one.name[:32] == header.key[:32]]
            with self._refusing():
                for other in others[:1]:
                    document.take_over(other)
        return Keeper(self, document)

    def forget(self, source: str) -> None:
        """Remove what is kept of a document."""
        mine = [path for path in self._files() if path.stem[-16:] == _digits(source)]
        if mine:
            with self.used():
                self._remove(mine)

    def tidy(self, committed: Callable[[], Mapping[str, str]]) -> None:
        """Remove what no run can go on with.

        That is what belongs to a committed document or to another index, what another version has
        drawn, what is altered, what belongs to a file that has changed, and what nobody has gone on
        with for 30 days. A file that is gone may have been moved.

        Args:
            committed: Returns the SHA-256 of the file of each document of the index, by source.
        """
        files = list(self._files())
        if files:
            with self.used():
                basis, known = self._basis(), committed()
                useless = [one for one in files if _is_useless(one, basis, known)]
                self._remove(useless)
        if not self._engine.keeps_processes_out:
            for path in self._folder.parent.glob("*/*.pages"):  # of indexes that nobody uses
                with suppress(OSError):
                    if _is_old(path):
                        path.unlink()

    def saved(self, document: UnfinishedDocument) -> Iterator[PreparedPage]:
        """The pages that are kept of a document."""
        if self._folder.is_dir() and self._is_ours():
            with self._refusing():
                yield from document.pages()

    def save(self, document: UnfinishedDocument, pages: list[PreparedPage]) -> None:
        """Keep pages of a document."""
        if self._is_refused:
            return
        with self._refusing(remove=document):
            shared = not self._engine.keeps_processes_out
            self._folder.mkdir(mode=0o700 if shared else 0o777, parents=shared, exist_ok=True)
            if self._is_ours():
                document.append(pages)

    def drop(self, document: UnfinishedDocument) -> None:
        """Remove what is kept of a document."""
        if self._folder.is_dir() and self._is_ours():
            document.remove()
            self._remove([])

    @contextmanager
    def _refusing(self, *, remove: UnfinishedDocument | None = None) -> Generator[None]:
        """Go on without keeping pages if the file system refuses."""
        try:
            yield
        except OSError as error:
            self._is_refused = True
            if remove is not None:
                remove.remove()  # a full disk has more room for the document itself
            _logger.warning(
                "pages of unfinished documents cannot be kept in %s (%s). This run goes on. If it "
                "is interrupted, the next run encodes its unfinished documents from the start. "
                "Make room on the disk, or check the permissions of this folder.",
                self._folder,
                error.strerror or type(error).__name__,
            )

    def _is_ours(self) -> bool:
        """Whether no other process writes here. The index of a server does not rule that out."""
        if self._engine.keeps_processes_out or self._lock is not None:
            return True
        lock = filelock.FileLock(self._folder / _LOCK_NAME, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except (filelock.Timeout, OSError):
            return False
        self._lock = lock
        return True

    def _remove(self, paths: list[Path]) -> None:
        if not self._is_ours():
            return
        for path in paths:
            with suppress(OSError):
                path.unlink()
        if self._engine.keeps_processes_out:
            with suppress(OSError):  # it is not empty, or not there
                self._folder.rmdir()

    def _files(self) -> Iterator[Path]:
        with suppress(OSError):
            yield from sorted(one for one in self._folder.iterdir() if _NAME.fullmatch(one.name))

    @property
    def _folder(self) -> Path:
        return self._engine.unfinished_folder

    def _basis(self) -> str:
        if self._known_basis is not None:
            return self._known_basis
        facts = {
            "format": _FORMAT,
            "index": self._engine.index_id,
            "settings": self._engine.settings.to_json(),
            "versions": [_version(package) for package in DRAWN_BY],
        }
        found = digest_of(facts)
        if self._depth:  # the lock is held, so the index stays the same
            self._known_basis = found
        return found


class Keeper:
    """Keeps the pages of one document during a run."""

    def __init__(self, documents: UnfinishedDocuments, document: UnfinishedDocument) -> None:
        """Use :meth:`UnfinishedDocuments.keeper`."""
        self._documents = documents
        self._document = document

    def pages(self) -> Iterator[PreparedPage]:
        """The pages that an earlier run has kept, each once."""
        return self._documents.saved(self._document)

    def keep(self, pages: list[PreparedPage]) -> None:
        """Keep some more pages."""
        self._documents.save(self._document, pages)

    def remove(self) -> None:
        """Remove them: the document is committed, or its file has changed."""
        self._documents.drop(self._document)


def _digits(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def _is_old(path: Path) -> bool:
    return path.stat().st_mtime < time.time() - _LONGEST_S


def _is_useless(path: Path, basis: str, committed: Mapping[str, str]) -> bool:
    try:
        header = read_header(path)
        if header is None or header.basis != basis or _is_old(path):
            return True
    except OSError:
        return False
    if committed.get(header.source) == header.file.sha256:
        return True
    if header.file.sha256 in committed.values() and not os.path.lexists(header.source):
        return True  # it was moved, and is in the index under its new name
    return what_became_of(header.source, header.file) == "changed"


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
