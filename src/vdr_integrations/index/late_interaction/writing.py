"""Getting documents in and out, so that a killed writer leaves nothing half."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from vdr_integrations.errors import (
    IndexFormatError,
    IndexStoreError,
    InvalidVectorError,
    OptionError,
)
from vdr_integrations.index.late_interaction.engine import DENSE, POOLED, TOKENS, Point
from vdr_integrations.index.late_interaction.filters import Where
from vdr_integrations.index.late_interaction.points import (
    CommittedDocument,
    committed_document,
    digest,
    document_id,
    document_point,
    json_metadata,
    page_payload,
    page_point_id,
)
from vdr_integrations.index.late_interaction.search import committed_documents
from vdr_integrations.index.late_interaction.token_pooling import pool_visual_tokens, segment_means
from vdr_integrations.index.maxsim import check_matrix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.index.late_interaction.engine import Engine
    from vdr_integrations.index.late_interaction.points import StoredPage
    from vdr_integrations.index.late_interaction.settings import Settings
    from vdr_integrations.index.records import DocumentRecord, PageRecord

__all__ = [
    "StagedDocument",
    "all_documents",
    "check_unit_rows",
    "clean_up",
    "forget",
    "forget_pages",
]

_NORM_TOLERANCE = 1e-3
_BATCH_NUMBERS = 1_000_000
"""Numbers written at once: 4 MB, and below the 32 MB that a server takes as JSON."""
_SCROLLED_AT_ONCE = 1000


class StagedDocument:
    """A document on its way into the index: nobody finds its pages before :meth:`commit`.

    Pages of a version of their own are written as they come, so memory holds a few of them. The
    document's point is the commit: it names the version. Then the version before it is deleted.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        source: str,
        *,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Use :meth:`LateInteractionIndex.stage_document`."""
        try:
            source.encode()
        except UnicodeEncodeError as error:
            shown = source.encode(errors="backslashreplace").decode()
            raise OptionError(f"{shown}: its name is not UTF-8; rename it.") from error
        self._engine = engine
        self._settings = settings
        self._source = source
        self._metadata = json_metadata(source, metadata)
        self._version = f"v{uuid.uuid4().hex}"
        self._pages: set[int] = set()
        self._waiting: list[Point] = []
        self._waiting_numbers = 0

    def add(
        self,
        page: PageRecord,
        vectors: NDArray[np.float32],
        *,
        dense: NDArray[np.float32] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Take a page.

        Args:
            page: With its grid, if its visual tokens are known.
            vectors: float32 (tokens, dimension), rows of length 1.
            dense: float32 (dense dimension,) of length 1, for an index that holds such vectors.
            metadata: Of this page; wins over that of the document where both name a key.

        Raises:
            OptionError: A page number below 1 or given twice, or shapes and dtypes that do not fit.
            InvalidVectorError: No tokens, NaN, infinity, or a vector not of length 1.
        """
        number = page.page_number
        subject = f"{self._source} page {number}"
        if number < 1 or number in self._pages:
            raise OptionError(f"{subject}: page numbers begin at 1 and come once.")
        own = json_metadata(subject, metadata)
        named = self._named_vectors(subject, page, vectors, dense)
        payload = page_payload(
            self._source,
            page,
            version=self._version,
            grid=page.grid if self._settings.compression.token_pooling == 1 else None,
            vectors_digest=digest(named[TOKENS]),
            metadata={**self._metadata, **own},
        )
        point_id = page_point_id(self._source, number, self._version)
        self._pages.add(number)
        self._waiting.append(Point(point_id, payload, named))
        self._waiting_numbers += sum(rows.size for rows in named.values())
        if self._waiting_numbers >= _BATCH_NUMBERS:
            self._write()

    def commit(self, document: DocumentRecord) -> None:
        """Put the document in place of the one with the same source, and return when it lasts.

        Raises:
            OptionError: No pages, or another source.
            IndexStoreError: Pages are gone: another writer is at work on the store.
        """
        if not self._pages or document.source != self._source:
            raise OptionError(
                f"{self._source}: a document needs at least one page and the source it was staged "
                f"with, found {len(self._pages)} pages and {document.source!r}."
            )
        self._write()
        written = self._engine.count(Where.equal(version=self._version))
        if written != len(self._pages):
            raise IndexStoreError(
                f"{self._source}: {written} of {len(self._pages)} pages are in "
                f"{self._engine.location}; let one writer at a time work on it, and try again."
            )
        # Seen once in some 60 kills without this: the document's point there, its pages not.
        self._engine.flush()
        before = committed_documents(self._engine, [self._source]).get(self._source)
        committed = CommittedDocument(
            document, self._version, frozenset(self._pages), self._metadata
        )
        self._engine.upsert([document_point(committed)])
        self._engine.flush()
        if before is not None:
            self._engine.delete_where(Where.equal(version=before.version))

    def discard(self) -> None:
        """Forget the document; what the index held of it stays."""
        self._waiting = []
        if self._pages:
            self._engine.delete_where(Where.equal(version=self._version))
        self._pages = set()

    def _named_vectors(
        self,
        subject: str,
        page: PageRecord,
        vectors: NDArray[np.float32],
        dense: NDArray[np.float32] | None,
    ) -> dict[str, NDArray[np.float32]]:
        settings, grid = self._settings, page.grid
        check_unit_rows(subject, vectors, dimension=settings.manifest.dimension)
        if grid is not None and grid.span.stop > len(vectors):
            raise OptionError(
                f"{subject}: a grid of {grid.rows} x {grid.columns} visual tokens from row "
                f"{grid.first} does not fit a matrix of {len(vectors)} rows."
            )
        pooled = pool_visual_tokens(vectors, grid, factor=settings.compression.token_pooling)
        stored = np.dtype(settings.compression.vectors)
        named = {
            TOKENS: pooled.astype(stored).astype(np.float32),
            POOLED: segment_means(vectors, grid).astype(np.float16).astype(np.float32),
        }
        if settings.dense is None:
            if dense is not None:
                raise OptionError(
                    f"{subject}: the index was made without dense vectors; leave dense out."
                )
        else:
            if dense is None or dense.ndim != 1:
                raise OptionError(
                    f"{subject}: the index takes one dense vector of shape "
                    f"({settings.dense.dimension},) a page, "
                    f"found {'none' if dense is None else dense.shape}."
                )
            what = f"{subject}, dense vector"
            check_unit_rows(what, dense[None], dimension=settings.dense.dimension)
            named[DENSE] = dense
        return named

    def _write(self) -> None:
        waiting, self._waiting, self._waiting_numbers = self._waiting, [], 0
        if waiting:
            self._engine.upsert(waiting)


def check_unit_rows(subject: str, matrix: NDArray[np.float32], *, dimension: int) -> None:
    """Refuse a matrix whose rows are not of length 1.

    Raises:
        OptionError: Another shape or dtype.
        InvalidVectorError: No rows, NaN, infinity or another length.
    """
    check_matrix(subject, matrix, dimension=dimension)
    if matrix.dtype != np.float32:
        raise OptionError(f"{subject}: the index takes float32, found {matrix.dtype}.")
    lengths = np.linalg.norm(matrix.astype(np.float64), axis=1)
    wrong = np.flatnonzero(np.abs(lengths - 1.0) > _NORM_TOLERANCE)
    if wrong.size:
        raise InvalidVectorError(
            f"{subject}: the vector in row {wrong[0]} has length {lengths[wrong[0]]:g}; "
            f"the index takes vectors of length 1."
        )


def all_documents(engine: Engine) -> Iterator[CommittedDocument]:
    """Every committed document, in no order."""
    where, after = Where.equal(kind="document"), None
    while True:
        points, after = engine.scroll(where, limit=_SCROLLED_AT_ONCE, after=after)
        yield from map(committed_document, points)
        if after is None:
            return


def forget(engine: Engine, document: CommittedDocument, pages: Sequence[int]) -> None:
    """Take pages out of a document, and the document away with its last one."""
    left = document.pages.difference(pages)
    if left:
        smaller = CommittedDocument(document.record, document.version, left, document.metadata)
        engine.upsert([document_point(smaller)])
        engine.flush()
        source = document.record.source
        engine.delete([page_point_id(source, number, document.version) for number in pages])
    else:
        engine.delete([document_id(document.record.source)])
        engine.flush()
        engine.delete_where(Where.equal(version=document.version))


def forget_pages(engine: Engine, pages: Sequence[StoredPage]) -> int:
    """:func:`forget` pages of any documents.

    Returns:
        How many there were.
    """
    by_source: dict[str, list[int]] = {}
    for page in pages:
        by_source.setdefault(page.source, []).append(page.page_number)
    documents = committed_documents(engine, by_source)
    for source, numbers in by_source.items():
        forget(engine, documents[source], numbers)
    return len(pages)


def clean_up(engine: Engine) -> int:
    """Delete the pages that no document owns, as a killed writer leaves them.

    Returns:
        How many there were.

    Raises:
        IndexFormatError: A document has lost pages.
    """
    left_over = engine.versions()
    unowned = 0
    for document in all_documents(engine):
        held = left_over.pop(document.version, 0)
        if held < len(document.pages):
            raise IndexFormatError(
                f"index {engine.location} is damaged ({document.record.source} has {held} of "
                f"{len(document.pages)} pages); delete it and index the documents again."
            )
        if held > len(document.pages):
            unowned += held - len(document.pages)
            _delete_pages_beside(engine, document)
    for version, count in left_over.items():
        unowned += count
        engine.delete_where(Where.equal(version=version))
    return unowned


def _delete_pages_beside(engine: Engine, document: CommittedDocument) -> None:
    where, after = Where.equal(version=document.version), None
    while True:
        points, after = engine.scroll(where, limit=_SCROLLED_AT_ONCE, after=after)
        gone = [point.id for point in points if not document.owns(point.payload)]
        if gone:
            engine.delete(gone)
        if after is None:
            return
