"""One vector a token: late interaction."""

from __future__ import annotations

from os.path import commonprefix
from typing import TYPE_CHECKING

from vdr_integrations.encoders.forward.output_vectors import token_vectors
from vdr_integrations.encoders.page_encoder import PageEncoder
from vdr_integrations.encoders.preprocessing.text_check import check_texts
from vdr_integrations.errors import OptionError
from vdr_integrations.types import PatchGrid

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self, Unpack

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders.load_options import LoadOptions
    from vdr_integrations.types import PageInput

__all__ = ["MultiVectorEncoder"]


class MultiVectorEncoder(PageEncoder):
    """Encodes pages and queries into matrices: one L2-normalised float32 vector a token.

    Load one with :meth:`load` or :func:`vdr_integrations.load_encoder` from a ColQwen2 checkpoint.
    Pages are compared with queries by MaxSim (:mod:`vdr_integrations.index`).

    Example:
        >>> from vdr_integrations import open_pdf
        >>> from vdr_integrations.index import maxsim_scores
        >>> encoder = MultiVectorEncoder.load("nano-colqwen2")
        >>> with open_pdf("report.pdf") as pages:
        ...     matrices = encoder.encode_pages(pages)
        >>> (query,) = encoder.encode_queries(["How did revenue change?"])
        >>> query.shape
        (9, 128)
        >>> maxsim_scores(query, matrices).shape
        (5,)
    """

    @classmethod
    def load(cls, model: str, **options: Unpack[LoadOptions]) -> Self:
        """Load a checkpoint that gives one vector a token.

        Args:
            model: ``"vidore/colqwen2-v1.0"``, ``"nano-colqwen2"``, another known hub id, a local
                folder, or the address of ``vdr serve`` or vLLM.
            **options: Those of :func:`vdr_integrations.load_encoder`: ``revision``, ``device``,
                ``dtype``, ``attn_implementation``, ``dimension`` (or ``truncate_dim``),
                ``max_visual_tokens``, ``batch_visual_tokens``, ``checkpoint``, ``token``,
                ``cache_dir``, ``local_files_only``.

        Raises:
            OptionError: An option is not allowed, or the checkpoint is of the other kind, which
                :meth:`DenseEncoder.load` loads; no weights are read for it.
            UnknownCheckpointError: The checkpoint is neither known nor described.
            CheckpointError: Files are missing or of another architecture.
            CheckpointWeightsError: Weights are missing, unexpected or of another shape.
            ForkedProcessError: A GPU was in use before this process was forked.
        """
        return cls._load(model, is_multi_vector=True, given=options)

    def encode_queries(
        self, texts: Iterable[str], *, show_progress: bool = False
    ) -> list[NDArray[np.float32]]:
        """Encode questions as matrices.

        Args:
            texts: Any iterable; order is kept. Special tokens inside them are plain text.
            show_progress: Show a progress bar on stderr.

        Returns:
            float32 (tokens, dimension) for each text, rows of length 1. Every token of the prompt
            has a row, also the augmentation tokens at its end; :meth:`query_tokens` names them.

        Raises:
            OptionError: A single string instead of several, something that is not a string, or a
                string with half a surrogate pair.
            QueryTooLongError: A text has more tokens than the checkpoint accepts.
            InvalidVectorError: The model returned NaN, infinity or a zero vector.
        """
        return self.finish(self._query_results(texts, show_progress=show_progress))

    def encode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> list[NDArray[np.float32]]:
        """Encode pages as matrices.

        Args:
            pages: Pages or PIL images; any iterable, rendered a few at a time; order is kept.
            show_progress: Show a progress bar on stderr.

        Returns:
            float32 (tokens, dimension) for each page, rows of length 1, not padded. The rows are
            the visual tokens and the tokens of the prompt around them; :meth:`page_layout` says
            which rows are visual tokens.

        Raises:
            OptionError: Something that is not a page.
            PageError: A page cannot be rendered.
            InvalidVectorError: The model returned NaN, infinity or a zero vector.
            DeviceMemoryError: One page alone does not fit the memory of the device.
        """
        return self.finish(self._page_results(pages, show_progress=show_progress))

    async def aencode_queries(
        self, texts: Iterable[str], *, show_progress: bool = False
    ) -> list[NDArray[np.float32]]:
        """Do :meth:`encode_queries` without blocking the event loop."""
        return self.finish(await self._aquery_results(texts, show_progress=show_progress))

    async def aencode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> list[NDArray[np.float32]]:
        """Do :meth:`encode_pages` without blocking the event loop."""
        return self.finish(await self._apage_results(pages, show_progress=show_progress))

    def page_layout(self, image_height_px: int, image_width_px: int) -> PatchGrid:
        """Which rows of a page's matrix are its visual tokens.

        Args:
            image_height_px: Height of the page's image, in pixels; this method fits it to the
                pixel budget.
            image_width_px: Width of the page's image, in pixels.

        Raises:
            PageGeometryError: The page is too long or too wide to be encoded.
        """
        height, width = self.pixel_budget.fit(height=image_height_px, width=image_width_px)
        factor = self.pixel_budget.factor
        first = self._model.facts.page_tokens_before
        return PatchGrid(first=first, rows=height // factor, columns=width // factor)

    def query_tokens(self, text: str) -> list[str]:
        """The text of every row of a query's matrix, prompt included; for display.

        Raises:
            OptionError: ``text`` is not a string, or has half a surrogate pair.
            QueryTooLongError: ``text`` has more tokens than the checkpoint accepts.
        """
        check_texts([text])
        self.prepare_query(text)
        return self._model.query_tokens(text)

    @property
    def query_prompt(self) -> str:
        """The query prompt as :meth:`query_tokens` reads; ``{query}`` stands for the question.

        A tokenizer may write it in other letters than the checkpoint does, for example in lower
        case. This one tells the words of a question from those of the prompt.
        """
        read = ["".join(self.query_tokens(text)) for text in ("a", "1")]
        before = commonprefix(read)  # noqa: RUF071  # letter by letter is meant
        after = commonprefix([text[len(before) :][::-1] for text in read])[::-1]  # noqa: RUF071
        return f"{before}{{query}}{after}"

    def _checked_dimension(self, dimension: int | None, *, full: int) -> int:
        if dimension is not None and dimension != full:
            raise OptionError(
                f"dimension={dimension} for {self.name}; its token vectors have {full} components "
                f"and were not trained to be shortened."
            )
        return full

    def finish(self, done: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Check and normalise what the model returned; for use inside this package."""
        return [token_vectors(matrix, subject=self.name, item=n) for n, matrix in enumerate(done)]
