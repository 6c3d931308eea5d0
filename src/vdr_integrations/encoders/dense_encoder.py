"""One vector a page, one vector a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.encoders.forward.output_vectors import dense_vectors
from vdr_integrations.encoders.page_encoder import PageEncoder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self, Unpack

    from numpy.typing import NDArray

    from vdr_integrations.encoders.load_options import LoadOptions
    from vdr_integrations.types import PageInput

__all__ = ["DenseEncoder"]


class DenseEncoder(PageEncoder):
    """Encodes pages and queries into one space of L2-normalised float32 vectors.

    Load one with :meth:`load` or :func:`vdr_integrations.load_encoder`. Its checkpoint uses the
    state of the last token as the vector.

    Example:
        >>> from vdr_integrations import open_pdf
        >>> encoder = DenseEncoder.load("nano")
        >>> with open_pdf("report.pdf") as pages:
        ...     vectors = encoder.encode_pages(pages)
        >>> vectors.shape
        (5, 512)
        >>> scores = encoder.encode_queries(["How did revenue change?"]) @ vectors.T
        >>> scores.shape
        (1, 5)
    """

    @classmethod
    def load(cls, model: str, **options: Unpack[LoadOptions]) -> Self:
        """Load a checkpoint that gives one vector a page.

        Args:
            model: ``"llamaindex/vdr-2b-multi-v1"``, ``"nano"``, another known hub id, or a local
                folder.
            **options: Those of :func:`vdr_integrations.load_encoder`: ``revision``, ``device``,
                ``dtype``, ``attn_implementation``, ``dimension`` (or ``truncate_dim``),
                ``max_visual_tokens``, ``batch_visual_tokens``, ``checkpoint``, ``token``,
                ``cache_dir``, ``local_files_only``.

        Raises:
            OptionError: An option is not allowed, or the checkpoint is of the other kind, which
                :meth:`MultiVectorEncoder.load` loads; no weights are read for it.
            UnknownCheckpointError: The checkpoint is neither known nor described.
            CheckpointError: Files are missing or of another architecture.
            CheckpointWeightsError: Weights are missing, unexpected or of another shape.
            ForkedProcessError: A GPU was in use before this process was forked.
        """
        return cls._load(model, is_multi_vector=False, given=options)

    def encode_queries(
        self, texts: Iterable[str], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """Encode questions, or text passages to compare with them.

        Args:
            texts: Any iterable; order is kept. Special tokens inside them are plain text.
            show_progress: Show a progress bar on stderr.

        Returns:
            float32 (n, dimension), rows of length 1; (0, dimension) for no texts.

        Raises:
            OptionError: A single string instead of several, something that is not a string, or a
                string with half a surrogate pair.
            QueryTooLongError: A text has more tokens than the checkpoint accepts.
            InvalidVectorError: The model returned NaN, infinity or a zero vector.
        """
        return self.finish(self._query_results(texts, show_progress=show_progress))

    def encode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """Encode pages.

        Args:
            pages: Pages or PIL images; any iterable, rendered a few at a time; order is kept.
            show_progress: Show a progress bar on stderr.

        Returns:
            float32 (n, dimension), rows of length 1; (0, dimension) for no pages.

        Raises:
            OptionError: Something that is not a page.
            PageError: A page cannot be rendered.
            InvalidVectorError: The model returned NaN, infinity or a zero vector.
            DeviceMemoryError: One page alone does not fit the memory of the device.
        """
        return self.finish(self._page_results(pages, show_progress=show_progress))

    async def aencode_queries(
        self, texts: Iterable[str], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """Do :meth:`encode_queries` without blocking the event loop."""
        return self.finish(await self._aquery_results(texts, show_progress=show_progress))

    async def aencode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """Do :meth:`encode_pages` without blocking the event loop."""
        return self.finish(await self._apage_results(pages, show_progress=show_progress))

    def finish(self, done: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Check and normalise what the model returned; for use inside this package."""
        if not done:
            return np.empty((0, self.dimension), np.float32)
        return dense_vectors(np.stack(done), dimension=self.dimension, subject=self.name)
