"""One vector a page, one vector a query."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from tqdm.auto import tqdm

from vdr_integrations.encoders.fingerprint import encoder_fingerprint
from vdr_integrations.encoders.vectors import dense_vectors
from vdr_integrations.errors import OptionError, QueryTooLongError
from vdr_integrations.types import PixelBudget, as_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    import torch
    from numpy.typing import NDArray

    from vdr_integrations.encoders.backbone import PreparedPage, PreparedQuery
    from vdr_integrations.encoders.checkpoint import Checkpoint
    from vdr_integrations.encoders.shared_model import SharedModel
    from vdr_integrations.types import PageInput

__all__ = ["DenseEncoder"]

Raw = TypeVar("Raw")

_WINDOW = 8
"""Items prepared at once: two windows of patches in flight are 29 MB at 768 visual tokens."""

_preparing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="vdr-prepare")


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
        self,
        model: SharedModel,
        checkpoint: Checkpoint,
        *,
        dimension: int | None,
        max_visual_tokens: int,
    ) -> None:
        """Use a loaded model; see ``load_encoder`` for the options."""
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
        return self._encode(
            _texts(texts), self._prepare_query, "queries", show_progress=show_progress
        )

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
        return self._encode(pages, self._prepare_page, "pages", show_progress=show_progress)

    async def aencode_queries(
        self, texts: Iterable[str], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """As :meth:`encode_queries`, without blocking the event loop."""
        return await self._aencode(
            _texts(texts), self._prepare_query, "queries", show_progress=show_progress
        )

    async def aencode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """As :meth:`encode_pages`, without blocking the event loop."""
        return await self._aencode(pages, self._prepare_page, "pages", show_progress=show_progress)

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

    def _encode(
        self,
        items: Iterable[Raw],
        prepare: Callable[[Raw], PreparedPage | PreparedQuery],
        what: str,
        *,
        show_progress: bool,
    ) -> NDArray[np.float32]:
        with _progress(items, what, show=show_progress) as bar:
            source, running = iter(items), deque[_Rows]()
            done: list[NDArray[np.float32]] = []
            while window := _prepared(source, prepare):
                running.append(self._model.worker.submit(window))
                if len(running) > 1:
                    done.append(_counted(running.popleft().result(), bar))
            done.extend(_counted(rows.result(), bar) for rows in running)
        return self._finish(done)

    async def _aencode(
        self,
        items: Iterable[Raw],
        prepare: Callable[[Raw], PreparedPage | PreparedQuery],
        what: str,
        *,
        show_progress: bool,
    ) -> NDArray[np.float32]:
        loop = asyncio.get_running_loop()
        with _progress(items, what, show=show_progress) as bar:
            source, running = iter(items), deque["asyncio.Future[NDArray[np.float32]]"]()
            done: list[NDArray[np.float32]] = []
            take = partial(_prepared, source, prepare)
            while window := await loop.run_in_executor(_preparing, take):
                running.append(asyncio.wrap_future(self._model.worker.submit(window)))
                if len(running) > 1:
                    done.append(_counted(await running.popleft(), bar))
            for rows in running:
                done.append(_counted(await rows, bar))
        return self._finish(done)

    def _finish(self, done: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        if not done:
            return np.empty((0, self.dimension), np.float32)
        return dense_vectors(np.concatenate(done), dimension=self.dimension, subject=self.name)

    def __repr__(self) -> str:
        """Model, dimension, device and dtype."""
        return (
            f"DenseEncoder({self.name!r}, dimension={self.dimension}, device={self.device}, "
            f"dtype={self.dtype})"
        )


_Rows = "Future[NDArray[np.float32]]"


def _texts(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str):
        raise OptionError("encode_queries takes several texts; for one write [text].")
    found = list(texts)
    for text in found:
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise OptionError(f"a query is a string, found {type(text).__name__}.")
    return found


def _prepared(
    source: Iterator[Raw], prepare: Callable[[Raw], PreparedPage | PreparedQuery]
) -> list[PreparedPage | PreparedQuery]:
    return [prepare(item) for item in islice(source, _WINDOW)]


def _counted(rows: NDArray[np.float32], bar: tqdm[None]) -> NDArray[np.float32]:
    bar.update(len(rows))
    return rows


def _progress(items: Iterable[object], what: str, *, show: bool) -> tqdm[None]:
    total = len(items) if hasattr(items, "__len__") else None  # pyright: ignore[reportArgumentType]
    return tqdm(total=total, desc=f"Encoding {what}", unit=what[:-1], disable=not show)
