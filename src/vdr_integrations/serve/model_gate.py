"""The way to the model: a queue with a limit, shared by the requests of all clients."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from vdr_integrations.encoders.elsewhere.model_host import ModelHost
from vdr_integrations.encoders.elsewhere.plain_items import PlainQuery
from vdr_integrations.serve.http_replies import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders.elsewhere.plain_items import PlainPage
    from vdr_integrations.encoders.page_encoder import PageEncoder
    from vdr_integrations.encoders.preprocessing.prepared import Prepared
    from vdr_integrations.serve.serve_limits import ServeLimits
    from vdr_integrations.types import Page

    Item = PlainPage | PlainQuery | Page

__all__ = ["ModelGate", "Rows"]

_PREPARING = 2
"""Threads that cut images into patches while the model works: 1.3 ms for a page of 768 tokens."""
_INLINE_CHARACTERS = 2000
"""Texts up to this length together are tokenized at once: that takes less than a change of thread.
"""


class Rows(NamedTuple):
    """What the model returned.

    Attributes:
        vectors: float32, a vector or matrix for each item; not normalised.
        tokens: Tokens that went through the model, prompts and visual tokens included.
    """

    vectors: list[NDArray[np.float32]]
    tokens: int


class ModelGate:
    """Lets items to the model, as many as there is room for.

    Pages and texts are counted apart: who indexes does not take the room of who asks.

    Attributes:
        encoder: The encoder whose model works.
    """

    def __init__(
        self,
        encoder: PageEncoder,
        *,
        limits: ServeLimits,
        on_waiting: Callable[[int], object] = lambda _: None,
    ) -> None:
        """Use the model of an encoder.

        Args:
            encoder: The encoder.
            limits: How much may wait.
            on_waiting: Called with the number of all pages and texts that wait or are encoded,
                whenever it changes.
        """
        self.encoder = encoder
        self._waiting = {"pages": 0, "texts": 0}
        self._host = ModelHost(encoder)
        self._limits = limits
        self._on_waiting = on_waiting
        self._threads = ThreadPoolExecutor(_PREPARING, thread_name_prefix="vdr-serve")

    async def rows(self, items: Sequence[Item], *, budget: int | None = None) -> Rows:
        """What the model returns for pages and texts, in their order; not normalised.

        Cancelling takes them out of the queue.

        Args:
            items: Pages as pixels or as ``Page``, and texts.
            budget: Greatest cost of a batch with pages among them; None for the model's own.

        Raises:
            RequestError: Too many items, or no room.
            OptionError: A page or text that the model cannot take.
            EncodingError: The model cannot give vectors.
        """
        texts = [item.text for item in items if isinstance(item, PlainQuery)]
        counts = {"pages": len(items) - len(texts), "texts": len(texts)}
        self._check(counts)
        self._count(counts)
        try:
            if len(texts) == len(items) and sum(map(len, texts)) <= _INLINE_CHARACTERS:
                prepared = self._prepared(items)
            else:
                loop = asyncio.get_running_loop()
                prepared = await loop.run_in_executor(self._threads, self._prepared, items)
            vectors = await self._encoded(items, prepared, budget)
            return Rows(vectors, sum(map(self._tokens, items, prepared)))
        finally:
            self._count({kind: -count for kind, count in counts.items()})

    async def _encoded(
        self, items: Sequence[Item], prepared: Sequence[Prepared], budget: int | None
    ) -> list[NDArray[np.float32]]:
        places: dict[bool, list[int]] = {}
        for place, item in enumerate(items):
            places.setdefault(isinstance(item, PlainQuery), []).append(place)
        found: dict[int, NDArray[np.float32]] = {}
        futures = [
            (some, self._host.submit([prepared[n] for n in some], budget=None if texts else budget))
            for texts, some in places.items()
        ]
        try:
            for some, future in futures:
                found.update(zip(some, await asyncio.wrap_future(future), strict=True))
        finally:
            for _, future in futures:
                future.cancel()
        return [found[place] for place in range(len(items))]

    def _prepared(self, items: Sequence[Item]) -> list[Prepared]:
        return [self._host.prepared(item) for item in items]

    def _tokens(self, item: Item, prepared: Prepared) -> int:
        core = self.encoder.core
        if isinstance(item, PlainQuery):
            return core.cost(prepared)
        return core.cost(prepared) + core.facts.page_tokens_before + core.facts.page_tokens_after

    def _check(self, counts: Mapping[str, int]) -> None:
        most, count = self._limits.request_items, sum(counts.values())
        if count > most:
            raise RequestError(
                f"the request has {count} pages and texts; at most {most} are taken at once. Send "
                f"them in several requests.",
                status=413,
            )
        for kind, waiting in self._waiting.items():
            if counts[kind] and waiting + counts[kind] > self._limits.queue_items:
                raise RequestError.busy(
                    f"{waiting} {kind} are waiting, and there is room for "
                    f"{self._limits.queue_items}; try again soon."
                )

    def _count(self, changes: Mapping[str, int]) -> None:
        for kind, change in changes.items():
            self._waiting[kind] += change
        self._on_waiting(sum(self._waiting.values()))
