"""One vector a page, one vector a query."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from vdr_integrations.encoders.fingerprint import encoder_fingerprint
from vdr_integrations.encoders.pipeline import arun_in_windows, run_in_windows
from vdr_integrations.encoders.shared_model import shared_model
from vdr_integrations.encoders.vectors import dense_vectors
from vdr_integrations.errors import OptionError, QueryTooLongError
from vdr_integrations.types import PixelBudget, as_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch
    from numpy.typing import NDArray

    from vdr_integrations.encoders.backbone import PreparedPage, PreparedQuery
    from vdr_integrations.encoders.shared_model import ModelOptions
    from vdr_integrations.types import PageInput

__all__ = ["DenseEncoder"]

Raw = TypeVar("Raw")


class DenseEncoder:
    """Encodes pages and queries into one space of L2-normalised float32 vectors.

    Made by :func:`vdr_integrations.load_encoder`. Cheap itself: the weights belong to a shared
    model, and encoders that differ only in ``dimension`` or pixel budget use the same. Safe to
    call from any number of threads and event loops.

    Attributes:
        name: The model as it was asked for.
        checkpoint: Prompts, pooling and where they come from.
        dimension: Components of every vector.
        pixel_budget: What pages are fitted to.
    """

    def __init__(
        self, options: ModelOptions, *, dimension: int | None, max_visual_tokens: int
    ) -> None:
        """Load or share the model; see ``load_encoder`` for the options."""
        model, checkpoint = shared_model(options), options.checkpoint
        full = model.backbone.hidden_size
        if dimension is not None and not 1 <= dimension <= full:
            raise OptionError(
                f"dimension={dimension} for {checkpoint.model}; it must be between 1 and {full}."
            )
        self.name = checkpoint.model
        self.checkpoint = checkpoint
        self.dimension = full if dimension is None else dimension
        self.pixel_budget = PixelBudget(
            max_visual_tokens=max_visual_tokens,
            min_visual_tokens=checkpoint.min_visual_tokens,
            factor=model.patch_size * model.merge_size,
        )
        prompt = len(model.prompts.page.before) + len(model.prompts.page.after)
        if max_visual_tokens + prompt > model.max_tokens:
            raise OptionError(
                f"max_visual_tokens={max_visual_tokens} with a prompt of {prompt} tokens; "
                f"{checkpoint.model} takes {model.max_tokens} in all."
            )
        self._model = model
        self._options = options

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._model.backbone.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights; vectors are float32 whatever it is."""
        return self._model.backbone.dtype

    @property
    def revision(self) -> str | None:
        """Commit of the hub repository; None for a local folder."""
        return self._model.revision

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256: vectors may be compared if it is equal, whatever device and dtype made them."""
        return encoder_fingerprint(
            self.checkpoint,
            weights=self._model.weights_digest,
            budget=self.pixel_budget,
            dimension=self.dimension,
        )

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
            OptionError: A single string instead of several, or something that is no string.
            QueryTooLongError: More tokens than the checkpoint takes.
            InvalidVectorError: NaN, infinity or zero.
        """
        steps = self._steps(self._prepare_query, show_progress=show_progress)
        return self._finish(run_in_windows(_texts(texts), **steps))

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
        steps = self._steps(self._prepare_page, show_progress=show_progress)
        return self._finish(run_in_windows(pages, **steps))

    async def aencode_queries(
        self, texts: Iterable[str], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """As :meth:`encode_queries`, without blocking the event loop."""
        steps = self._steps(self._prepare_query, show_progress=show_progress)
        return self._finish(await arun_in_windows(_texts(texts), **steps))

    async def aencode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """As :meth:`encode_pages`, without blocking the event loop."""
        steps = self._steps(self._prepare_page, show_progress=show_progress)
        return self._finish(await arun_in_windows(pages, **steps))

    def _prepare_query(self, text: str) -> PreparedQuery:
        query = self._model.prepare_query(text)
        tokens = self._model.query_tokens(query)
        if tokens > self._model.max_tokens:
            raise QueryTooLongError(
                f"a text of {len(text)} characters has {tokens} tokens with its prompt; "
                f"{self.name} takes {self._model.max_tokens}. Split it into passages."
            )
        return query

    def _prepare_page(self, page: PageInput) -> PreparedPage:
        image = as_page(page).render(self.pixel_budget)
        factor = self.pixel_budget.factor
        if image.mode != "RGB" or image.width % factor or image.height % factor:
            raise OptionError(
                f"{page!r} rendered itself as {image.mode} of {image.width} x {image.height} "
                f"pixels; it must be RGB with sides that are multiples of {factor}."
            )
        return self._model.prepare_image(image)

    def _steps(
        self, prepare: Callable[[Raw], PreparedPage | PreparedQuery], *, show_progress: bool
    ) -> dict[str, Any]:
        return {
            "prepare": prepare,
            "submit": self._model.worker.submit,
            "what": "pages" if prepare == self._prepare_page else "queries",
            "show_progress": show_progress,
        }

    def _finish(self, done: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        if not done:
            return np.empty((0, self.dimension), np.float32)
        return dense_vectors(np.concatenate(done), dimension=self.dimension, subject=self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the options; whoever unpickles loads or shares the weights."""
        options = {
            "dimension": self.dimension,
            "max_visual_tokens": self.pixel_budget.max_visual_tokens,
        }
        return partial(DenseEncoder, self._options, **options), ()

    def __repr__(self) -> str:
        """Model, dimension, device and dtype."""
        return (
            f"DenseEncoder({self.name!r}, dimension={self.dimension}, device={self.device}, "
            f"dtype={self.dtype})"
        )


def _texts(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str):
        raise OptionError("encode_queries takes several texts; for one write [text].")
    found = list(texts)
    for text in found:
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise OptionError(f"a query is a string, found {type(text).__name__}.")
    return found
