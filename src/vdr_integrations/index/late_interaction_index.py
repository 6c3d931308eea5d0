"""An index of many vectors per page, compared by MaxSim: late interaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.errors import IndexMismatchError, OptionError
from vdr_integrations.index.arguments import check_unit_rows, listed_ids, whole_number
from vdr_integrations.index.async_twins import in_thread
from vdr_integrations.index.compression import Compression
from vdr_integrations.index.engine import LOCK_WAIT_S, MaxSimSearch
from vdr_integrations.index.index_settings import Settings
from vdr_integrations.index.manifest import Manifest
from vdr_integrations.index.page_filter import parse_filter
from vdr_integrations.index.page_index import (
    PageIndex,
    created_engine,
    opened_engine,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.index.engine import Engine
    from vdr_integrations.index.page_filter import PageFilter
    from vdr_integrations.index.page_index import Location
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
            prompts: Prompts by name, stored for display.
            wait_s: How long writes wait for another writer.

        Raises:
            OptionError: Neither a manifest nor an encoder was given, or both.
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
        )
        return cls(created_engine(location, settings, wait_s=wait_s))

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
    ) -> list[Hit]:
        """The pages that match a query best by MaxSim, best first.

        Scores are those of :func:`maxsim_score` over the stored vectors; equal scores are sorted by
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
    ) -> list[list[Hit]]:
        """The hits of each query, see :meth:`search`."""
        return [
            self.search(query, k=k, filter=filter, exhaustive=exhaustive, candidates=candidates)
            for query in queries
        ]

    def rerank(self, query: NDArray[np.float32], page_ids: Sequence[str]) -> list[Hit]:
        """All of these pages with their exact scores, best first; unknown ids are left out.

        Args:
            query: float32 (query tokens, dimension), rows of length 1.
            page_ids: Ids of pages, as in ``Hit.page_id``, found by any method.

        Raises:
            OptionError: A query with a wrong shape or dtype.
            InvalidVectorError: NaN, infinity, or a vector whose length is not 1.
            IndexFormatError: One of the pages was altered.
        """
        self._check_query(query)
        return self._engine.rerank(query, listed_ids(page_ids))

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
