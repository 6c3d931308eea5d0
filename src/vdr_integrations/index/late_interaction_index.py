"""An index of many vectors per page, compared by MaxSim: late interaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.errors import IndexMismatchError, OptionError
from vdr_integrations.index.arguments import check_unit_rows, listed_ids, whole_number
from vdr_integrations.index.async_twins import in_thread
from vdr_integrations.index.compression import Compression
from vdr_integrations.index.engine import LOCK_WAIT_S
from vdr_integrations.index.hybrid import checked_hybrid
from vdr_integrations.index.index_settings import Settings
from vdr_integrations.index.manifest import Manifest
from vdr_integrations.index.page_filter import parse_filter
from vdr_integrations.index.page_index import (
    PageIndex,
    created_engine,
    opened_engine,
)
from vdr_integrations.index.question_bank import check_strength
from vdr_integrations.index.search_steps import MaxSimSearch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.index.engine import Engine
    from vdr_integrations.index.hybrid import HybridQuery
    from vdr_integrations.index.index_settings import Correction
    from vdr_integrations.index.page_filter import PageFilter
    from vdr_integrations.index.page_index import Location
    from vdr_integrations.index.question_bank import QuestionBank
    from vdr_integrations.types import Hit

__all__ = ["LateInteractionIndex"]


class LateInteractionIndex(PageIndex):
    """Pages as matrices of token vectors, in a folder or on a Qdrant server; see ``PageIndex``.

    Methods that may take long have an async version: ``asearch`` for ``search``.
    """

    @classmethod
    def create(
        cls,
        location: Location,
        *,
        manifest: Manifest | None = None,
        encoder: MultiVectorEncoder | None = None,
        dense_manifest: Manifest | None = None,
        compression: Compression | None = None,
        question_bank: QuestionBank | None = None,
        prompts: Mapping[str, str] | None = None,
        wait_s: float = LOCK_WAIT_S,
    ) -> Self:
        """Make an empty index and open it.

        Args:
            location: A new or empty folder, or a collection that does not exist yet.
            manifest: The settings of the multi-vector encoder, see :meth:`Manifest.of`; or
            encoder: the encoder itself, whose prompts are stored too.
            dense_manifest: The settings of a dense encoder, to store its vector of each page too
                and to use it for the selection of candidates.
            compression: How to store token vectors; None stores all of them in float16.
            question_bank: Subtract from scores what a page gets from any question, see
                ``QuestionBank``; None: scores are MaxSim alone. ``QuestionBank.of_checkpoint``
                returns what the encoder's checkpoint brings.
            prompts: Prompts by name, stored for display.
            wait_s: How long writes wait for another writer.

        Raises:
            OptionError: Neither a manifest nor an encoder was given, or both; or a question bank of
                another encoder.
            IndexFormatError: The folder holds other files.
            IndexStoreError: The place holds an index already.
            MissingExtraError: A server's client is not installed.
        """
        shown = dict(prompts or {})
        if encoder is not None and prompts is None:
            checkpoint = encoder.checkpoint
            shown = {"page": checkpoint.page_prompt, "query": checkpoint.query_prompt}
        settings = Settings(
            tokens=Manifest.of_either(manifest, encoder),
            dense=dense_manifest,
            compression=Compression() if compression is None else compression,
            prompts=shown,
            correction=None if question_bank is None else question_bank.correction,
        )
        if question_bank is not None and settings.tokens is not None:
            question_bank.check_dimension(settings.tokens.dimension)
        return cls(created_engine(location, settings, bank=question_bank, wait_s=wait_s))

    @classmethod
    def open(
        cls,
        location: Location,
        *,
        encoder: MultiVectorEncoder | None = None,
        dense_encoder: DenseEncoder | None = None,
        wait_s: float = LOCK_WAIT_S,
    ) -> Self:
        """Open an index.

        Args:
            location: The folder or collection.
            encoder: Refuse the index unless this encoder made it.
            dense_encoder: Refuse the index unless this encoder made its dense vectors.
            wait_s: How long writes wait for another writer.

        Raises:
            IndexNotFoundError: There is no index.
            IndexFormatError: Not an index, damaged, or of another format.
            IndexMismatchError: Made by another encoder, with other settings, or with dense vectors
                only.
            MissingExtraError: A server's client is not installed.
        """
        engine = opened_engine(location, wait_s=wait_s)
        try:
            _check(engine, encoder, dense_encoder)
        except BaseException:
            engine.close()
            raise
        return cls(engine)

    @property
    def late(self) -> Self:
        """The index itself."""
        return self

    @property
    def correction(self) -> Correction | None:
        """What scores are corrected by; None if they are MaxSim alone."""
        return self._settings.correction

    def question_bank(self) -> QuestionBank | None:
        """The question bank of the index, or None.

        Raises:
            IndexFormatError: It is not what was written.
        """
        return self._engine.question_bank()

    def bias_weight(self, query_tokens: int, *, correction: float | None = None) -> float:
        """How many times the bias of a page is subtracted from its MaxSim with a question.

        Args:
            query_tokens: Rows of the question's matrix.
            correction: See :meth:`search`.

        Raises:
            OptionError: The index has no question bank, or a strength that is not allowed.
        """
        kept = self._settings.correction
        strength = None if correction is None else check_strength(correction)
        if kept is None:
            if strength:
                raise OptionError(
                    f"index {self.path} was made without a question bank, so scores cannot be "
                    f"corrected; leave correction out, or index again with a question bank."
                )
            return 0.0
        return kept.weight(query_tokens, strength=strength)

    def vectors_of(self, page_id: str) -> NDArray[np.float32]:
        """The token vectors of a page as they are stored: float32 (tokens, dimension).

        Raises:
            OptionError: There is no such page.
            IndexFormatError: The vectors are not what was written.
        """
        found = self.get([page_id], with_vectors=True)
        if not found or found[0].vectors is None:
            raise OptionError(f"there is no page {page_id!r} in {self.path}.")
        return found[0].vectors

    def search(
        self,
        query: NDArray[np.float32],
        *,
        k: int = DEFAULT_HITS,
        filter: PageFilter | None = None,  # noqa: A002  # what users of vector stores call it
        exhaustive: bool = False,
        candidates: int | None = None,
        dense_query: NDArray[np.float32] | None = None,
        correction: float | None = None,
        hybrid: HybridQuery | None = None,
    ) -> list[Hit]:
        """The pages that match a query best by MaxSim, best first.

        Scores are those of :func:`maxsim_score` over the stored vectors. In an index with a
        question bank, what the page gets from any question is subtracted: above 0, a page matches
        this question better than others, and scores may be negative. Equal scores are sorted by
        source and page number. An index of up to 800 pages is compared completely. In a larger one,
        the search compares pages in the order of a fast first stage, which looks at the centroids
        near their tokens, until no other page is likely to be among the best;
        docs/late-interaction.md says how many pages that misses.

        Args:
            query: float32 (query tokens, dimension), rows of length 1, from the encoder that made
                the index.
            k: Maximum number of hits; at least 1.
            filter: Only pages that match, see ``PageFilter``.
            exhaustive: Compare all pages one by one.
            candidates: Number of pages that the first stage selects for comparison; at least ``k``.
                None lets the search decide: at most 1,000 in an index of up to 10,000 pages. An
                index of at most twice this number of pages is compared completely.
            dense_query: float32 (dense dimension,) of length 1, from the dense encoder of the
                index. Dense vectors then select the candidates, even in a small index.
            correction: Share of a page's bias that is subtracted from its MaxSim, from 0 to 2; None
                for the strength of the index. 0 gives MaxSim alone.
            hybrid: The question in words, if the text layers of pages count too, see ``Hybrid``.

        Raises:
            OptionError: An argument is outside its allowed range.
            InvalidVectorError: NaN, infinity, or a vector whose length is not 1.
            IndexFormatError: A page that would be compared was altered.
        """
        count = whole_number("k (the number of hits)", k, least=1)
        wanted = None
        if candidates is not None:
            wanted = whole_number("candidates", candidates, least=1)
            if wanted < count:
                raise OptionError(f"candidates must be at least k={count}, found {wanted}.")
        if exhaustive and (candidates is not None or dense_query is not None):
            raise OptionError(
                "an exhaustive search compares all pages; leave candidates and dense_query out."
            )
        self._check_query(query)
        asked = MaxSimSearch(
            query,
            k=count,
            where=parse_filter(filter),
            candidates=wanted,
            exhaustive=exhaustive,
            dense_query=None if dense_query is None else self._checked_dense(dense_query),
            bias_weight=self.bias_weight(len(query), correction=correction),
            hybrid=checked_hybrid(hybrid),
        )
        return self._engine.search(asked)

    def search_many(
        self,
        queries: Sequence[NDArray[np.float32]],
        *,
        k: int = DEFAULT_HITS,
        filter: PageFilter | None = None,  # noqa: A002  # what users of vector stores call it
        exhaustive: bool = False,
        candidates: int | None = None,
        correction: float | None = None,
    ) -> list[list[Hit]]:
        """The hits of each query, see :meth:`search`."""
        return [
            self.search(
                query,
                k=k,
                filter=filter,
                exhaustive=exhaustive,
                candidates=candidates,
                correction=correction,
            )
            for query in queries
        ]

    def rerank(
        self,
        query: NDArray[np.float32],
        page_ids: Sequence[str],
        *,
        correction: float | None = None,
    ) -> list[Hit]:
        """All of these pages with their exact scores, best first; unknown ids are left out.

        Args:
            query: float32 (query tokens, dimension), rows of length 1.
            page_ids: Ids of pages, as in ``Hit.page_id``, found by any method.
            correction: See :meth:`search`.

        Raises:
            OptionError: A query with a wrong shape or dtype.
            InvalidVectorError: NaN, infinity, or a vector whose length is not 1.
            IndexFormatError: One of the pages was altered.
        """
        self._check_query(query)
        weight = self.bias_weight(len(query), correction=correction)
        return self._engine.rerank(query, listed_ids(page_ids), bias_weight=weight)

    asearch = in_thread(search)
    asearch_many = in_thread(search_many)
    arerank = in_thread(rerank)

    def _check_query(self, query: NDArray[np.float32]) -> None:
        check_unit_rows("the query", query, dimension=self.manifest.dimension)

    def _checked_dense(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        dense = self.dense_manifest
        if dense is None:
            raise OptionError(
                f"index {self.path} was made without dense vectors; leave dense_query "
                f"out, or index again with dense_manifest."
            )
        if np.shape(query) != (dense.dimension,):
            raise OptionError(
                f"dense_query must have the shape ({dense.dimension},), found {np.shape(query)}."
            )
        check_unit_rows("dense_query", query[None], dimension=dense.dimension)
        return query


def _check(
    engine: Engine, encoder: MultiVectorEncoder | None, dense_encoder: DenseEncoder | None
) -> None:
    if engine.settings.tokens is None:
        raise IndexMismatchError(
            f"index {engine.path} has one dense vector per page and no token vectors; open it with "
            f"DenseIndex.open."
        )
    if encoder is not None:
        engine.settings.tokens.check(encoder, index_path=engine.path)
    if dense_encoder is not None:
        engine.settings.check_dense(dense_encoder, location=engine.path)
