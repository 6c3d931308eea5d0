"""One vector a page and one vector a token together: the page is looked at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from vdr_integrations.encoders.pipeline import arun_in_windows, run_in_windows
from vdr_integrations.encoders.prepared import KeptVisualTokens

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders.dense import DenseEncoder
    from vdr_integrations.encoders.multi_vector import MultiVectorEncoder
    from vdr_integrations.encoders.prepared import PreparedPage
    from vdr_integrations.types import PageInput

    _PairedRow = tuple[NDArray[np.float32], NDArray[np.float32]]

__all__ = ["PairedEncoder", "PairedVectors"]


class _PairedPage(NamedTuple):
    """A page as each of the encoders reads it."""

    dense: PreparedPage
    multi_vector: PreparedPage


class PairedVectors(NamedTuple):
    """Pages as both encoders give them.

    Attributes:
        dense: float32 (pages, dimension), as of ``DenseEncoder.encode_pages``.
        tokens: float32 (tokens, dimension) for each page, as of
            ``MultiVectorEncoder.encode_pages``.
    """

    dense: NDArray[np.float32]
    tokens: list[NDArray[np.float32]]


class PairedEncoder:
    """A dense and a late-interaction encoder that look at a page once.

    Where both have the same vision tower, in the same format on the same device, a page goes
    through it once; that is most of its work (72 % with the 2B models, shared research). It serves
    checkpoints that were trained over one frozen tower, as ``nano`` and ``nano-colqwen2`` are, and
    an index that recalls by dense vectors and compares by late interaction. Vectors are those that
    either encoder gives alone; queries are encoded by either of them.

    Attributes:
        dense: The encoder of one vector a page.
        multi_vector: The encoder of one vector a token.
    """

    def __init__(self, *, dense: DenseEncoder, multi_vector: MultiVectorEncoder) -> None:
        """Pair two encoders; nothing is loaded or copied."""
        self.dense = dense
        self.multi_vector = multi_vector

    @cached_property
    def shares_vision(self) -> bool:
        """Whether one pass of the vision tower serves both; weights are compared once."""
        return self.multi_vector.core.backbone.has_tower_of(self.dense.core.backbone)

    def encode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> PairedVectors:
        """Vectors of pages.

        Args:
            pages: Pages or PIL images; any iterable, rendered a few at a time; order is kept.
            show_progress: A bar on stderr.

        Returns:
            What both encoders give for them.

        Raises:
            OptionError: Something that is no page.
            PageError: A page that cannot be rendered.
            InvalidVectorError: NaN, infinity or zero.
            DeviceMemoryError: A page that does not fit the device even alone.
        """
        with self._steps(show_progress=show_progress) as steps:
            return self._finish(run_in_windows(pages, **steps))

    async def aencode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> PairedVectors:
        """As :meth:`encode_pages`, without blocking the event loop."""
        with self._steps(show_progress=show_progress) as steps:
            return self._finish(await arun_in_windows(pages, **steps))

    @contextmanager
    def _steps(self, *, show_progress: bool) -> Generator[dict[str, Any]]:
        # Two models at once would only take turns on one device, and threads from one another.
        in_turn = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vdr-paired")
        try:
            yield {
                "prepare": self._prepare_page,
                "submit": partial(in_turn.submit, self._encode),
                "what": "pages",
                "show_progress": show_progress,
            }
        finally:
            in_turn.shutdown(wait=False, cancel_futures=True)

    def _prepare_page(self, page: PageInput) -> _PairedPage:
        prepared = self.multi_vector.prepare_page(page)
        other = prepared
        if self.dense.pixel_budget != self.multi_vector.pixel_budget:
            other = self.dense.prepare_page(page)
        if not self.shares_vision or not prepared.shows_what(other):
            return _PairedPage(other, prepared)
        shared = replace(prepared, kept=KeptVisualTokens())
        return _PairedPage(shared, shared)

    def _encode(self, window: Sequence[_PairedPage]) -> list[_PairedRow]:
        tokens = self.multi_vector.core.worker.submit([page.multi_vector for page in window])
        made = tokens.result()
        dense = self.dense.core.worker.submit([page.dense for page in window]).result()
        return [*zip(dense, made, strict=True)]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle both encoders' options."""
        return partial(type(self), dense=self.dense, multi_vector=self.multi_vector), ()

    def __repr__(self) -> str:
        """Both encoders."""
        return f"{type(self).__name__}(dense={self.dense!r}, multi_vector={self.multi_vector!r})"

    def _finish(self, done: list[_PairedRow]) -> PairedVectors:
        return PairedVectors(
            self.dense.finish([dense for dense, _ in done]),
            self.multi_vector.finish([tokens for _, tokens in done]),
        )
