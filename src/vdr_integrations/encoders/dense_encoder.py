"""One vector a page, one vector a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.encoders.forward.output_vectors import dense_vectors
from vdr_integrations.encoders.page_encoder import PageEncoder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from vdr_integrations.types import PageInput

__all__ = ["DenseEncoder"]


class DenseEncoder(PageEncoder):
    """Encodes pages and queries into one space of L2-normalised float32 vectors.

    Made by :func:`vdr_integrations.load_encoder` for checkpoints that pool the last token.
    """

    def encode_queries(
        self, texts: Iterable[str], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """Vectors of questions, or of text passages to compare with them.

        Args:
            texts: Any iterable; order is kept. Special tokens inside them are plain text.
            show_progress: A bar on stderr.

        Returns:
            float32 (n, dimension), rows of length 1; (0, dimension) for no texts.

        Raises:
            OptionError: A single string instead of several, something that is no string, or half
                a surrogate pair in one.
            QueryTooLongError: More tokens than the checkpoint takes.
            InvalidVectorError: NaN, infinity or zero.
        """
        return self.finish(self._query_results(texts, show_progress=show_progress))

    def encode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """Vectors of pages.

        Args:
            pages: Pages or PIL images; any iterable, rendered a few at a time; order is kept.
            show_progress: A bar on stderr.

        Returns:
            float32 (n, dimension), rows of length 1; (0, dimension) for no pages.

        Raises:
            OptionError: Something that is no page.
            PageError: A page that cannot be rendered.
            InvalidVectorError: NaN, infinity or zero.
            DeviceMemoryError: A page that does not fit the device even alone.
        """
        return self.finish(self._page_results(pages, show_progress=show_progress))

    async def aencode_queries(
        self, texts: Iterable[str], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """As :meth:`encode_queries`, without blocking the event loop."""
        return self.finish(await self._aquery_results(texts, show_progress=show_progress))

    async def aencode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """As :meth:`encode_pages`, without blocking the event loop."""
        return self.finish(await self._apage_results(pages, show_progress=show_progress))

    def finish(self, done: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors of what the model gave, checked; for this package's own use."""
        if not done:
            return np.empty((0, self.dimension), np.float32)
        return dense_vectors(np.stack(done), dimension=self.dimension, subject=self.name)
