"""What dense and late-interaction indexes share: documents, pages, and how they change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.errors import OptionError
from vdr_integrations.index.arguments import index_folder, listed_ids, utf8, whole_number
from vdr_integrations.index.async_twins import in_thread
from vdr_integrations.index.document_copy import copy_document
from vdr_integrations.index.folder.engine import FolderEngine
from vdr_integrations.index.page_filter import parse_filter
from vdr_integrations.index.server.qdrant_server import QdrantServer
from vdr_integrations.index.shards.joined_writes import several_take_none
from vdr_integrations.index.staged_document import StagedDocument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.compression import Compression
    from vdr_integrations.index.engine import Engine
    from vdr_integrations.index.hybrid import HybridQuery
    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.late_interaction_index import LateInteractionIndex
    from vdr_integrations.index.manifest import Manifest
    from vdr_integrations.index.page_filter import PageFilter
    from vdr_integrations.index.question_bank import QuestionBank
    from vdr_integrations.index.records import DocumentRecord, FileState, PageRecord
    from vdr_integrations.index.stored_page import StoredPage
    from vdr_integrations.index.unfinished.unfinished_documents import UnfinishedDocuments
    from vdr_integrations.types import Hit

__all__ = ["Location", "PageIndex", "created_engine", "engine_of", "opened_engine"]

Location = str | Path | QdrantServer
"""A folder, or a collection of a Qdrant server."""


class PageIndex(ABC):
    """Documents and their pages, in a folder or on a Qdrant server.

    Any number of processes and threads may search a folder while one writes to it; each search sees
    one committed state, and readers write nothing. Documents are added and removed as a whole: if a
    writer is killed, each acknowledged document is complete, and nothing of any other document can
    be found. A server serves any number of processes too; let only one writer at a time work on a
    document there.

    Attributes:
        path: The folder, or the server and collection as text.
        manifest: Settings of the encoder; in an index with token vectors, of the multi-vector
            encoder.
        dense_manifest: Settings of the dense encoder whose vectors are stored beside token vectors;
            None if there are no such vectors.
        compression: How token vectors are stored.
        prompts: The encoder's prompts by name.
        unfinished: Pages that ``sync_index`` keeps of documents that are not complete yet.
            ``unfinished.kept()`` counts them.
    """

    def __init__(self, engine: Engine) -> None:
        """Use ``create`` or ``open``."""
        self._engine = engine
        self._settings: Settings = engine.settings
        self.path: Path | str = engine.path
        manifest = self._settings.tokens or self._settings.dense
        assert manifest is not None  # noqa: S101  # an index has vectors
        self.manifest: Manifest = manifest
        self.dense_manifest: Manifest | None = (
            self._settings.dense if self._settings.tokens is not None else None
        )
        self.compression: Compression = self._settings.compression
        self.prompts: dict[str, str] = self._settings.prompts
        self.unfinished: UnfinishedDocuments = engine.unfinished()
        self._places = [part.path for part in engine.parts]
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._is_closed

    @property
    def late(self) -> LateInteractionIndex | None:
        """The index itself if it keeps a vector of each token; None if it keeps one a page."""
        return None

    @property
    def places(self) -> list[Path | str]:
        """Where it is: one place, or those of several indexes that were opened as one."""
        return list(self._places)

    def check_takes_documents(self) -> None:
        """Refuse several indexes that were opened as one: each document belongs to one of them.

        Raises:
            OptionError: It stands for several; the message says what to do.
        """
        if len(self.places) > 1:
            raise several_take_none(self.places, "documents")

    @abstractmethod
    def search(
        self,
        query: NDArray[np.float32],
        *,
        k: int = DEFAULT_HITS,
        filter: PageFilter | None = None,  # noqa: A002  # what users of vector stores call it
        hybrid: HybridQuery | None = None,
    ) -> list[Hit]:
        """The best pages for a query, best first; see the two kinds of indexes."""

    def search_text(
        self,
        text: str,
        *,
        k: int = DEFAULT_HITS,
        filter: PageFilter | None = None,  # noqa: A002  # what users of vector stores call it
    ) -> list[Hit]:
        """The pages whose text layer matches the words of a text best, best first.

        This is BM25 (k1 1.5, b 0.75, the ``idf`` of Lucene) over the text layers that the index
        keeps; no model is needed. Only pages with at least one of the words are hits, so scans
        without a text layer are never found. A filter does not change the score of a page: word
        frequencies are those of all pages with text. Equal scores are sorted by source and page
        number.

        Args:
            text: Any text: every word counts, as often as it is there. Nothing in it is an
                operator.
            k: Maximum number of hits; at least 1.
            filter: Only pages that match, see ``PageFilter``.

        Raises:
            OptionError: An argument is outside its allowed range, or the text cannot be UTF-8.
            IndexFormatError: A document, or a page that would be a hit, was altered.
        """
        count = whole_number("k (the number of hits)", k, least=1)
        return self._engine.search_text(utf8("text", text), k=count, where=parse_filter(filter))

    def close(self) -> None:
        """Close the index; a second call does nothing."""
        self._is_closed = True
        self._engine.close()

    def __enter__(self) -> Self:
        """The index itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def documents(self, *, skip_altered: bool = False) -> list[DocumentRecord]:
        """All documents, sorted by source.

        Args:
            skip_altered: Leave out documents whose record is not what was written, see
                :meth:`altered_documents`.

        Raises:
            IndexFormatError: The record of a document was altered.
        """
        return self._engine.documents(skip_altered=skip_altered)

    def altered_documents(self) -> list[str]:
        """Names of documents whose record was altered: remove them and index them again."""
        return self._engine.altered_documents()

    @property
    def is_empty(self) -> bool:
        """Whether there is no document in it."""
        return not self.count_pages() and not self.altered_documents() and not self.documents()

    def document(self, source: str) -> DocumentRecord | None:
        """The document called ``source``, or None."""
        return self._engine.document(utf8("source", source))

    def count_pages(self, filter: PageFilter | None = None) -> int:  # noqa: A002  # what searches call it too
        """Number of pages; with a filter, number of pages that match it.

        Raises:
            OptionError: Not a valid filter, see ``PageFilter``.
        """
        return self._engine.count_pages(parse_filter(filter))

    def page_ids(self, filter: PageFilter | None = None) -> list[str]:  # noqa: A002  # what searches call it too
        """Ids of the pages that match a filter, or of all, sorted by source and page number."""
        return [page.page_id for page in self.pages(filter)]

    def pages(self, filter: PageFilter | None = None) -> list[StoredPage]:  # noqa: A002  # what searches call it too
        """The pages that match a filter, or all, sorted by source and page number, without vectors.

        Raises:
            OptionError: Not a valid filter, see ``PageFilter``.
            IndexFormatError: A page is not what was written.
        """
        return self._engine.pages_where(parse_filter(filter))

    def get(self, page_ids: Sequence[str], *, with_vectors: bool = False) -> list[StoredPage]:
        """Pages with these ids, in this order; unknown ids are left out.

        Args:
            page_ids: Ids of pages, as in ``Hit.page_id``.
            with_vectors: Return the stored vectors too.

        Raises:
            IndexFormatError: A page is not what was written.
        """
        return self._engine.pages(listed_ids(page_ids), vectors=with_vectors)

    def pages_of_ref(self, page_ref: str) -> list[StoredPage]:
        """The pages that have this image, sorted by source and page number.

        Args:
            page_ref: ``vdr-page:<sha256>``.
        """
        return self._engine.pages_of_ref(utf8("page_ref", page_ref))

    def writing(self) -> AbstractContextManager[None]:
        """Keep other writers out during several calls; each single write does this by itself.

        Raises:
            IndexLockedError: Another writer was still at work after ``wait_s``.
        """
        return self._engine.writing()

    def stage_document(
        self, source: str, *, metadata: Mapping[str, Any] | None = None
    ) -> StagedDocument:
        """Begin a document whose pages are added a few at a time; its commit makes it visible.

        Args:
            source: Absolute POSIX path, or another name of the document.
            metadata: Metadata of all its pages, as JSON types.

        Raises:
            OptionError: A name that cannot be UTF-8, or metadata that JSON cannot hold.
        """
        name = utf8("the name of a document", source)
        self.check_takes_documents()
        bank, sink = self._engine.question_bank(), self._engine.begin(name)
        return StagedDocument(sink, self._settings, name, bank=bank, metadata=metadata)

    def add_document(
        self,
        document: DocumentRecord,
        pages: Sequence[PageRecord],
        vectors: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        *,
        dense: Sequence[NDArray[np.float32]] | NDArray[np.float32] | None = None,
        metadata: Mapping[str, Any] | None = None,
        page_metadata: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Add a document; it replaces a document with the same source.

        Args:
            document: What the index stores about the document.
            pages: At least one page; with its grid, if that is known.
            vectors: For each page float32 (tokens, dimension), rows of length 1; in an index of
                dense vectors float32 (dimension,) of length 1.
            dense: For each page float32 (dense dimension,), if the index stores both.
            metadata: Metadata of all pages, as JSON types.
            page_metadata: Metadata of each page; it wins if both have the same key.

        Raises:
            OptionError: No pages, a page number twice, or a wrong shape or dtype.
            InvalidVectorError: No tokens, NaN, infinity, or a vector whose length is not 1.
            IndexLockedError: Another writer was still at work after ``wait_s``.
            IndexStoreError: The file system or the server refuses; the index stays as it was.
        """
        for name, given in (
            ("vectors", vectors),
            ("dense vectors", dense),
            ("page_metadata", page_metadata),
        ):
            if given is not None and len(given) != len(pages):
                raise OptionError(
                    f"{document.source}: found {len(pages)} pages and {len(given)} {name}; "
                    f"give one for each page."
                )
        staged = self.stage_document(document.source, metadata=metadata)
        try:
            for row, page in enumerate(pages):
                staged.add(
                    page,
                    vectors[row],
                    dense=None if dense is None else dense[row],
                    metadata=None if page_metadata is None else page_metadata[row],
                )
            staged.commit(document)
        except BaseException:
            staged.discard()
            raise

    def copy_document(self, source: str, document: DocumentRecord) -> None:
        """Make a document of the pages of another one, with its vectors and metadata as they are.

        Args:
            source: Name of the document whose pages are copied; it stays.
            document: What the index stores about the copy; it replaces a document with the same
                source.

        Raises:
            OptionError: There is no document ``source``, or a name that cannot be UTF-8.
            IndexFormatError: A page is not what was written; nothing is copied.
            IndexLockedError: Another writer was still at work after ``wait_s``.
        """
        utf8("the name of a document", document.source)
        self.check_takes_documents()
        with self.writing():
            copy_document(self._engine, utf8("source", source), document)

    def update_file_state(self, source: str, file: FileState) -> None:
        """Record that a document's file was checked and still has the same content.

        Raises:
            IndexLockedError: Another writer was still at work after ``wait_s``.
        """
        self._engine.update_file_state(utf8("source", source), file)

    def remove_document(self, source: str) -> bool:
        """Remove a document with all its pages; False if it does not exist.

        Pages that are kept of an unfinished version are removed too.

        Raises:
            IndexLockedError: Another writer was still at work after ``wait_s``.
        """
        name = utf8("source", source)
        with self.writing():
            self.unfinished.forget(name)
            return self._engine.remove_document(name)

    def remove_pages(self, page_ids: Sequence[str]) -> int:
        """Remove pages, and a document together with its last page; unknown ids are ignored.

        Returns:
            Number of removed pages.
        """
        return self._engine.remove_pages(listed_ids(page_ids))

    def remove_where(self, filter: PageFilter) -> int:  # noqa: A002  # what searches call it too
        """Remove the pages that match a filter, as :meth:`remove_pages` does.

        Raises:
            OptionError: Not a valid filter, see ``PageFilter``, or an empty one, which would remove
                everything.
        """
        if not filter:
            raise OptionError("remove_where needs a filter, found none; remove documents by name.")
        with self.writing():
            return self._engine.remove_pages(self.page_ids(filter))

    def clean_up(self) -> int:
        """Delete what a killed writer left; on a server, no other writer may be at work.

        Pages with which ``sync_index`` can go on are kept, see ``docs/late-interaction.md``.

        Returns:
            Number of deleted pages that belonged to no document; always 0 in a folder.
        """
        with self.writing():
            self._tidy_unfinished()
            return self._engine.clean_up()

    def optimize(self) -> None:
        """Free the space of removed pages; readers can go on meanwhile.

        Pages of unfinished documents are removed if no run can go on with them.

        Raises:
            IndexLockedError: Another writer was still at work after ``wait_s``.
            IndexStoreError: The disk has no room for the copy; nothing is lost.
        """
        with self.writing():
            self._tidy_unfinished()
            self._engine.optimize()

    def _tidy_unfinished(self) -> None:
        def committed() -> dict[str, str]:
            return {one.source: one.file.sha256 for one in self.documents(skip_altered=True)}

        self.unfinished.tidy(committed)

    def check_files(self) -> Iterator[str]:
        """Problems of the index that are not part of one document, one sentence each."""
        return self._engine.check_files()

    def check_document(self, source: str) -> tuple[int, list[str]]:
        """How many pages of a document are as they were written, and the problems of the others."""
        return self._engine.check_document(utf8("source", source))

    aget = in_thread(get)
    asearch_text = in_thread(search_text)
    aadd_document = in_thread(add_document)
    aremove_document = in_thread(remove_document)
    aremove_pages = in_thread(remove_pages)


def created_engine(
    location: Location, settings: Settings, *, bank: QuestionBank | None = None, wait_s: float
) -> Engine:
    """The engine of a new index.

    Args:
        location: A new or empty folder, or a collection that does not exist yet.
        settings: Settings of the index.
        bank: The question bank that the settings name.
        wait_s: How long writes wait for another writer.

    Raises:
        IndexFormatError: The folder holds other files.
        IndexStoreError: The place holds an index already.
        OptionError: A URL instead of a folder.
        MissingExtraError: A server's client is not installed.
    """
    if isinstance(location, QdrantServer):
        from vdr_integrations.index.server.engine import ServerEngine

        return ServerEngine.create(location, settings, bank=bank, wait_s=wait_s)
    return FolderEngine.create(index_folder(location), settings, bank=bank, wait_s=wait_s)


def opened_engine(location: Location, *, wait_s: float) -> Engine:
    """The engine of an existing index.

    Raises:
        IndexNotFoundError: There is no index.
        IndexFormatError: Not an index, damaged, or of another format.
        OptionError: A URL instead of a folder.
        MissingExtraError: A server's client is not installed.
    """
    if isinstance(location, QdrantServer):
        from vdr_integrations.index.server.engine import ServerEngine

        return ServerEngine.open(location, wait_s=wait_s)
    return FolderEngine(index_folder(location), wait_s=wait_s)


def engine_of(index: PageIndex) -> Engine:
    """The engine of an open index."""
    return index._engine  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # of this file
