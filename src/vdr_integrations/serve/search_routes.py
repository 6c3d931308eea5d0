"""The paths of a server that search an index and show its pages."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.serve.http_replies import RequestError
from vdr_integrations.serve.request_reading import while_connected
from vdr_integrations.serve.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from vdr_integrations.serve.request_reading import Bodies
    from vdr_integrations.serve.searched_index import SearchedIndex
    from vdr_integrations.serve.serve_limits import ServeLimits

    T = TypeVar("T")

__all__ = ["SearchRoutes"]

_BODY_BYTES = 256 * 1024
_LEAST_WIDTH_PX, _MOST_WIDTH_PX = 64, 2000
_MOST_WORDS = 200
_TELLING = 4
"""Threads that compute how well the words of questions match."""
_PAGE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_PICTURE = re.compile(rf"({_PAGE_ID.pattern})\.(webp|png)", re.ASCII)
_CLOSED = {
    "cache-control": "private, no-cache",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}
"""Pages are for those who may search: for no cache that others share, and no site of others."""


class _Search(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    question: str
    k: int = Field(default=DEFAULT_HITS, ge=1)
    filter: dict[str, Any] | None = None
    hybrid: bool | None = None


class SearchRoutes:
    """Answers searches of one index, and shows its pages."""

    def __init__(self, index: SearchedIndex, limits: ServeLimits, bodies: Bodies) -> None:
        """Let in as many searches and pictures at a time as ``limits`` allow."""
        self._index = index
        self._limits = limits
        self._bodies = bodies
        self._searches = Room(limits.searches, of="searches")
        self._pictures = Room(limits.waiting_pictures, of="pictures")
        self._threads = ThreadPoolExecutor(limits.pictures, thread_name_prefix="vdr-pictures")
        # Long questions take seconds; they must not hold up the threads that all requests share.
        self._telling = ThreadPoolExecutor(_TELLING, thread_name_prefix="vdr-words")

    def routes(self) -> list[Route]:
        """Its paths."""
        return [
            Route("/search", self._facts, methods=["GET"]),
            Route("/search", self._search, methods=["POST"]),
            Route("/pages/{page_id}/heat", self._heat, methods=["GET"]),
            Route("/pages/{picture}", self._picture, methods=["GET"]),
        ]

    async def _facts(self, _: Request) -> Response:
        facts = await asyncio.to_thread(self._index.facts)
        return _json(
            {
                **facts,
                "most_hits": self._limits.hits,
                "most_characters": self._limits.question_characters,
            }
        )

    async def _search(self, request: Request) -> Response:
        async with self._bodies.parsed(request, _Search, most_bytes=_BODY_BYTES) as body:
            pass
        question = self._question(body.question)
        if body.k > self._limits.hits:
            raise RequestError(
                f"k must be from 1 to {self._limits.hits}, found {body.k}.", status=400
            )

        async def found() -> dict[str, Any]:
            hits = await self._index.hits(question, k=body.k, where=body.filter, hybrid=body.hybrid)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._telling, self._index.told, question, hits)

        with self._searches.entered():
            return _json(await while_connected(request, found()))

    async def _picture(self, request: Request) -> Response:
        named = _PICTURE.fullmatch(request.path_params["picture"])
        if named is None:
            raise RequestError(
                "a picture is /pages/PAGE_ID.webp or /pages/PAGE_ID.png; copy page_id from a hit.",
                status=404,
            )
        page_id, kind = named.groups()
        width, ref = _width(request), request.query_params.get("ref")

        def drawn() -> tuple[str, bytes | None]:
            page = self._index.page(page_id, ref)
            tag = f'"{page.page_ref.rpartition(":")[2]}-{width or 0}-{kind}"'
            if request.headers.get("if-none-match") == tag:
                return tag, None
            return tag, self._index.picture(page, width=width, kind=kind)

        tag, data = await self._drawing(request, drawn)
        headers = {**_CLOSED, "etag": tag}
        if data is None:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=f"image/{kind}", headers=headers)

    async def _heat(self, request: Request) -> Response:
        page_id = request.path_params["page_id"]
        if _PAGE_ID.fullmatch(page_id) is None:
            raise RequestError(
                "a heat map is /pages/PAGE_ID/heat; copy page_id from a hit.", status=404
            )
        question = self._question(request.query_params.get("question", ""))
        words, ref = _words(request), request.query_params.get("ref")
        heat = await self._drawing(
            request,
            lambda: self._index.heat(
                self._index.page(page_id, ref), question=question, words=words
            ),
        )
        headers = {**_CLOSED, "vdr-blend": heat.blend}
        return Response(heat.data, media_type="image/png", headers=headers)

    async def _drawing(self, request: Request, draw: Callable[[], T]) -> T:
        """What ``draw`` returns, in one of the threads for pictures, while the client waits."""
        loop = asyncio.get_running_loop()
        with self._pictures.entered():
            return await while_connected(request, loop.run_in_executor(self._threads, draw))

    def _question(self, given: str) -> str:
        most = self._limits.question_characters
        if not given.strip():
            raise RequestError("the question is empty; ask something in plain words.", status=400)
        if len(given) > most:
            raise RequestError(
                f"the question has {len(given)} characters, and may have {most}; ask in fewer.",
                status=400,
            )
        return given


def _json(found: dict[str, Any]) -> Response:
    return JSONResponse(found, headers=_CLOSED)


def _width(request: Request) -> int | None:
    given = request.query_params.get("width")
    if given is None:
        return None
    if not given.isdecimal() or len(given) > 9:
        given = "0"
    if not _LEAST_WIDTH_PX <= int(given) <= _MOST_WIDTH_PX:
        raise RequestError(
            f"width must be a whole number from {_LEAST_WIDTH_PX} to {_MOST_WIDTH_PX}.", status=400
        )
    return int(given)


def _words(request: Request) -> list[int]:
    given = request.query_params.getlist("word")
    if len(given) > _MOST_WORDS or not all(n.isdecimal() and len(n) < 6 for n in given):
        raise RequestError(
            f"word must be the number of a word in the reply of /search, and may be given up to "
            f"{_MOST_WORDS} times.",
            status=400,
        )
    return [int(n) for n in given]
