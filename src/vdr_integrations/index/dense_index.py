"""An index of one vector per page, searched exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.errors import IndexMismatchError, InvalidVectorError, OptionError
from vdr_integrations.index.arguments import whole_number
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
from vdr_integrations.index.search_steps import DenseSearch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder
    from vdr_integrations.index.hybrid import HybridQuery
    from vdr_integrations.index.page_filter import PageFilter
    from vdr_integrations.types import Hit

__all__ = ["DenseIndex"]


class DenseIndex(PageIndex):
    """Pages as single vectors, in a folder; see ``PageIndex``.

    Searching is exact: one matrix product over all vectors, which are mapped from their files.
    """

    path: Path  # pyright: ignore[reportIncompatibleVariableOverride]  # text only if several are one

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        manifest: Manifest | None = None,
        encoder: DenseEncoder | None = None,
        prompts: Mapping[str, str] | None = None,
        wait_s: float = LOCK_WAIT_S,
    ) -> Self:
        """Make an empty index and open it.

        Args:
            path: A new or empty folder.
            manifest: The settings of the encoder, see :meth:`Manifest.of`; or
            encoder: the encoder itself.
            prompts: Prompts by name, stored for display.
            wait_s: How long writes wait for another writer.

        Raises:
            OptionError: Neither a manifest nor an encoder was given, or both.
            IndexFormatError: The folder holds other files.
            IndexStoreError: The folder holds an index already.
        """
        made = Manifest.of_either(manifest, encoder)
        settings = Settings(None, made, Compression(), dict(prompts or {}))
        return cls(created_engine(path, settings, wait_s=wait_s))

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        encoder: DenseEncoder | None = None,
        wait_s: float = LOCK_WAIT_S,
    ) -> Self:
        """Open an index.

        Args:
            path: The folder.
            encoder: Refuse the index unless this encoder made it.
            wait_s: How long writes wait for another writer.

        Raises:
            IndexNotFoundError: There is no index in the folder.
            IndexFormatError: Not an index, damaged, or of another format.
            IndexMismatchError: Made by another encoder, with other settings, or with token vectors.
        """
        engine = opened_engine(path, wait_s=wait_s)
        if engine.settings.tokens is not None:
            raise IndexMismatchError(
                f"index {path} has token vectors (late interaction); open it with "
                f"LateInteractionIndex.open."
            )
        index = cls(engine)
        if encoder is not None:
            index.manifest.check(encoder, index_path=index.path)
        return index

    def search(
        self,
        query: NDArray[np.float32],
        *,
        k: int = DEFAULT_HITS,
        filter: PageFilter | None = None,  # noqa: A002  # what users of vector stores call it
        hybrid: HybridQuery | None = None,
    ) -> list[Hit]:
        """The pages nearest to a query, best first.

        Equal scores are sorted by source and page number, so that a search returns the same hits
        every time.

        Args:
            query: float32 (dimension,), from the encoder that made the index.
            k: Maximum number of hits; at least 1.
            filter: Only pages that match, see ``PageFilter``.
            hybrid: The question in words, if the text layers of pages count too, see ``Hybrid``.

        Raises:
            OptionError: An argument is outside its allowed range.
            InvalidVectorError: A query with NaN or infinity, or of length zero.
            IndexFormatError: A page that would be compared was altered.
        """
        count = whole_number("k (the number of hits)", k, least=1)
        unit = self._unit_query(query)
        words = checked_hybrid(hybrid)
        return self._engine.search(DenseSearch(unit, count, parse_filter(filter), words))

    asearch = in_thread(search)

    def _unit_query(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        shape = np.shape(query)
        if shape != (self.manifest.dimension,):
            raise OptionError(
                f"a search in index {self.path} needs one query vector of shape "
                f"({self.manifest.dimension},), found {shape}."
            )
        norm = float(np.linalg.norm(query.astype(np.float64)))
        if not np.isfinite(norm) or norm == 0:
            raise InvalidVectorError(
                f"the query vector's length is {norm}; it must be finite and positive."
            )
        return (query / norm).astype(np.float32)
