"""A model that ``vdr serve`` runs: on this machine or another."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING

from vdr_integrations.encoders.elsewhere.http_calls import json_of
from vdr_integrations.encoders.elsewhere.io_loop import in_io_loop
from vdr_integrations.encoders.elsewhere.plain_items import ModelElsewhere, PlainPage, PlainQuery
from vdr_integrations.encoders.elsewhere.shared_requests import SharedRequests
from vdr_integrations.encoders.elsewhere.wire import (
    BUDGET_HEADER,
    MODEL_HEADER,
    PAGES_PATH,
    QUERIES_PATH,
    QUERY_TOKENS_PATH,
    ServedFacts,
    pages_body,
    vectors_of,
)
from vdr_integrations.encoders.runtime.forks import PerProcess
from vdr_integrations.errors import ModelServerError, OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders.elsewhere.http_calls import HttpCalls
    from vdr_integrations.encoders.preprocessing.prepared import Prepared

__all__ = ["ServedModel"]


class ServedModel(ModelElsewhere):
    """A model behind HTTP; all callers of this process share connections and one thread."""

    def __init__(self, calls: HttpCalls, served: ServedFacts) -> None:
        """Use the model that the server has said that it serves."""
        self.facts = served.model
        self.windows_at_once = served.windows_at_once
        self.leaves_cores = not calls.address.is_here or served.model.device.startswith("cuda")
        self._calls = calls
        self._served = served
        self._headers = {MODEL_HEADER: served.identity}
        # Used in the loop of all calls only; a forked child has another loop.
        self._queries: PerProcess[SharedRequests[PlainQuery, NDArray[np.float32]]] = PerProcess(
            lambda: SharedRequests(
                self._of_queries,
                size=_size,
                most_items=served.most_items,
                most_bytes=self._most_bytes,
            )
        )

    def submit(
        self, items: Sequence[Prepared], *, budget: int | None = None
    ) -> Future[list[NDArray[np.float32]]]:
        """See ``RunningModel``.

        A server that is busy or restarts is asked again; see ``docs/serving.md`` for how long.
        """
        if not items:
            done: Future[list[NDArray[np.float32]]] = Future()
            done.set_result([])
            return done
        return in_io_loop(self._encoded(items, budget))

    def query_tokens(self, text: str) -> list[str]:
        """See ``RunningModel``."""
        return in_io_loop(self._tokens(text)).result()

    async def _tokens(self, text: str) -> list[str]:
        answer = await self._calls.post_json(QUERY_TOKENS_PATH, {"text": text}, self._headers)
        try:
            return [str(token) for token in json_of(answer)["tokens"]]
        except (ValueError, KeyError, TypeError):
            raise self._other_answer() from None

    async def _encoded(
        self, items: Sequence[Prepared], budget: int | None
    ) -> list[NDArray[np.float32]]:
        parts = [asyncio.ensure_future(self._part(one, budget)) for one in self._parts(items)]
        try:
            return [vectors for part in await asyncio.gather(*parts) for vectors in part]
        finally:
            for part in parts:  # after an error, nobody waits for the others
                part.cancel()

    async def _part(
        self, items: Sequence[Prepared], budget: int | None
    ) -> list[NDArray[np.float32]]:
        pages = [item for item in items if isinstance(item, PlainPage)]
        if not pages:
            queries = [item for item in items if isinstance(item, PlainQuery)]
            return await self._queries.value.results(queries)
        headers = self._headers if budget is None else {**self._headers, BUDGET_HEADER: str(budget)}
        answer = await self._calls.post_bytes(PAGES_PATH, pages_body(pages), headers)
        return self._vectors(items, answer.content)

    async def _of_queries(self, queries: Sequence[PlainQuery]) -> list[NDArray[np.float32]]:
        texts = [query.text for query in queries]
        answer = await self._calls.post_json(QUERIES_PATH, {"texts": texts}, self._headers)
        return self._vectors(queries, answer.content)

    def _vectors(self, items: Sequence[Prepared], content: bytes) -> list[NDArray[np.float32]]:
        try:
            found = vectors_of(content)
        except OptionError:
            raise self._other_answer() from None
        if len(found) != len(items) or not all(map(self._fits, items, found)):
            raise self._other_answer()
        return found

    def _parts(self, items: Sequence[Prepared]) -> Iterator[Sequence[Prepared]]:
        """Items of one request each."""
        part: list[Prepared] = []
        size = 0
        for item in items:
            own = _size(item)
            if part and (len(part) == self._served.most_items or size + own > self._most_bytes):
                yield part
                part, size = [], 0
            part.append(item)
            size += own
        yield part

    @property
    def _most_bytes(self) -> int:
        return self._served.most_bytes * 9 // 10  # names and quotes come on top

    def _fits(self, item: Prepared, vectors: NDArray[np.float32]) -> bool:
        """Whether vectors have the shape that an item has."""
        facts = self.facts
        if not self._served.checkpoint.is_multi_vector:
            return vectors.shape == (facts.dimension,)
        if vectors.ndim != 2 or vectors.shape[1] != facts.dimension or not len(vectors):
            return False
        around = facts.page_tokens_before + facts.page_tokens_after
        return not isinstance(item, PlainPage) or len(vectors) == around + self.cost(item)

    def _other_answer(self) -> ModelServerError:
        return ModelServerError(
            f"{self._calls.address.url} answers with something else than vectors of its model; is "
            f"it vdr serve, of the same version?"
        )


def _size(item: Prepared) -> int:
    """Bytes of an item in a request, at most."""
    if isinstance(item, PlainPage):
        return item.pixels.nbytes
    assert isinstance(item, PlainQuery)  # noqa: S101  # items come from prepare_image and prepare_query
    return 6 * len(item.text)  # JSON writes a character as \\u1234; two of them for a rare one
