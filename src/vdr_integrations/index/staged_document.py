"""Write a document into an index, page by page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vdr_integrations.errors import OptionError
from vdr_integrations.index.arguments import (
    check_unit_rows,
    clean_text,
    json_metadata,
    utf8,
    whole_number,
)
from vdr_integrations.index.records import PageWarning
from vdr_integrations.index.scoring.token_pooling import pool_visual_tokens
from vdr_integrations.index.stored_vectors import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.question_bank import QuestionBank
    from vdr_integrations.index.records import DocumentRecord, PageRecord

__all__ = ["DocumentSink", "PreparedPage", "StagedDocument"]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPage:
    """A page that is ready for an engine.

    Attributes:
        record: The page with clean text and label; without its grid if tokens were pooled.
        metadata: Metadata of document and page together.
        tokens: float32 (tokens, dimension), pooled; None if the index has no token vectors.
        dense: float32 (dense dimension,); None if the index has no dense vectors.
        bias: How well the page matches any question, per query token, see ``QuestionBank``; 0 in an
            index without a question bank.
    """

    record: PageRecord
    metadata: dict[str, Any]
    tokens: NDArray[np.float32] | None
    dense: NDArray[np.float32] | None
    bias: float = 0.0


class DocumentSink(Protocol):
    """Where an engine stores the pages of a document before the commit makes them visible."""

    def write(self, page: PreparedPage) -> None:
        """Store a page."""
        ...

    def commit(self, document: DocumentRecord) -> None:
        """Replace the document with this source by these pages; return when that is durable."""
        ...

    def discard(self) -> None:
        """Drop the pages."""
        ...


class StagedDocument:
    """A document whose pages are added a few at a time; :meth:`commit` makes them visible."""

    def __init__(
        self,
        sink: DocumentSink,
        settings: Settings,
        source: str,
        *,
        bank: QuestionBank | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Use the index's ``stage_document``."""
        self._sink = sink
        self._settings = settings
        self._bank = bank
        self._source = source
        self._metadata = json_metadata(source, metadata)
        self._pages: dict[int, tuple[str, ...]] = {}
        """The warnings of each page, by page number."""

    def add(
        self,
        page: PageRecord,
        vectors: NDArray[np.float32],
        *,
        dense: NDArray[np.float32] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> PreparedPage:
        """Add a page.

        Args:
            page: The page, with its grid if its visual tokens are known.
            vectors: float32 (tokens, dimension), rows of length 1; in an index of dense vectors
                float32 (dimension,) of length 1.
            dense: float32 (dense dimension,) of length 1, if the index stores both.
            metadata: Metadata of this page; it wins over that of the document if both have a key.

        Returns:
            The page as the engine got it.

        Raises:
            OptionError: A page number below 1 or given twice, or a wrong shape or dtype.
            InvalidVectorError: No tokens, NaN, infinity, or a vector whose length is not 1.
            IndexStoreError: The file system or the server refuses.
        """
        number = whole_number(f"{self._source}: a page number", page.page_number, least=1)
        subject = f"{self._source} page {number}"
        if number in self._pages:
            raise OptionError(f"{subject}: this page was added already; add each page once.")
        own = json_metadata(subject, metadata)
        tokens = None
        if self._settings.tokens is None:
            if dense is not None:
                raise OptionError(f"{subject}: the index has one vector per page; leave dense out.")
            dense = vectors
        else:
            tokens = self._tokens(subject, page, vectors)
        self._check_dense(subject, dense)
        kept = replace(
            page,
            page_number=number,
            page_label=clean_text(page.page_label),
            page_ref=utf8(f"{subject}: page_ref", page.page_ref),
            text=clean_text(page.text),
            grid=page.grid if self._settings.compression.token_pooling == 1 else None,
            warnings=tuple(map(clean_text, page.warnings)),
        )
        bias = 0.0
        if self._bank is not None and tokens is not None:
            kept_tokens = rounded(tokens, compression=self._settings.compression)
            bias = float(np.float32(self._bank.bias(kept_tokens)))
        prepared = PreparedPage(kept, {**self._metadata, **own}, tokens, dense, bias)
        self.add_prepared(prepared)
        return prepared

    def add_prepared(self, page: PreparedPage) -> None:
        """Add a page that :meth:`add` returned for the same document, in this process or another.

        Raises:
            IndexStoreError: The file system or the server refuses.
        """
        self._sink.write(page)
        self._pages[page.record.page_number] = page.record.warnings

    def commit(self, document: DocumentRecord) -> None:
        """Replace the document with the same source by this one; return when that is durable.

        Raises:
            OptionError: No pages were added, or the source is another one.
            IndexLockedError: Another writer is at work.
            IndexStoreError: The file system or the server refuses.
        """
        if not self._pages or document.source != self._source:
            raise OptionError(
                f"{self._source}: a document needs at least one page and the source that it was "
                f"staged with; found {len(self._pages)} pages and the source {document.source!r}."
            )
        warnings = tuple(
            PageWarning(number, message)
            for number, messages in sorted(self._pages.items())
            for message in messages
        )
        self._sink.commit(replace(document, warnings=warnings))

    def discard(self) -> None:
        """Drop the pages; a version that the index already holds stays."""
        self._sink.discard()
        self._pages = {}

    def _tokens(
        self, subject: str, page: PageRecord, vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        settings, grid = self._settings, page.grid
        assert settings.tokens is not None  # noqa: S101  # asked by the caller
        check_unit_rows(subject, vectors, dimension=settings.tokens.dimension)
        if grid is not None and grid.span.stop > len(vectors):
            raise OptionError(
                f"{subject}: a grid of {grid.rows} x {grid.columns} visual tokens from row "
                f"{grid.first} does not fit a matrix of {len(vectors)} rows."
            )
        return pool_visual_tokens(vectors, grid, factor=settings.compression.token_pooling)

    def _check_dense(self, subject: str, dense: NDArray[np.float32] | None) -> None:
        wanted = self._settings.dense
        if wanted is None:
            if dense is not None:
                raise OptionError(
                    f"{subject}: the index was made without dense vectors; leave dense out."
                )
            return
        if not isinstance(dense, np.ndarray) or dense.ndim != 1:
            raise OptionError(
                f"{subject}: the index needs one dense vector of shape ({wanted.dimension},) per "
                f"page, found {'none' if dense is None else np.shape(dense)}."
            )
        check_unit_rows(f"{subject}, dense vector", dense[None], dimension=wanted.dimension)
