"""The server as an ASGI application."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from vdr_integrations.errors import VdrError
from vdr_integrations.serve.access import Access, AccessCheck
from vdr_integrations.serve.http_replies import RequestError, error_reply, reply_to
from vdr_integrations.serve.metrics import ServerMetrics
from vdr_integrations.serve.model_gate import ModelGate
from vdr_integrations.serve.model_routes import ModelRoutes
from vdr_integrations.serve.request_reading import Bodies, ClientGoneError
from vdr_integrations.serve.serve_limits import ServeLimits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.index import Hybrid
    from vdr_integrations.retrieval import PageSearcher

__all__ = ["build_app"]

_GONE = 499
"""What nginx logs for a client that left; nobody reads the answer."""


def build_app(
    encoder: DenseEncoder | MultiVectorEncoder,
    *,
    searcher: PageSearcher | None = None,
    hybrid: bool | Hybrid = False,
    access: Access | None = None,
    limits: ServeLimits | None = None,
) -> Starlette:
    """The application that serves an encoder, for any ASGI server.

    Run it in one process: each one would load the model again, and share no batches.

    Args:
        encoder: The encoder; its model is loaded already.
        searcher: Searches an index with this encoder, for ``/search`` and a page to search on;
            None: vectors only.
        hybrid: Let the words of questions count too, see ``SearchOptions``.
        access: Who may call; None: callers on this machine.
        limits: How much is taken at a time; None: see ``ServeLimits``.

    Raises:
        OptionError: The searcher has another encoder.
        IndexStoreError: The index cannot be used, or another model made it.
    """
    limits = limits or ServeLimits()
    metrics = ServerMetrics(encoder.core)
    gate = ModelGate(encoder, limits=limits, on_waiting=metrics.note_waiting)
    bodies = Bodies(limits)
    routes = [
        *ModelRoutes(encoder, gate, limits, bodies).routes(),
        *_search_routes(encoder, searcher, limits, bodies, hybrid=hybrid),
        Route("/healthz", _health_of(encoder), methods=["GET"]),
        Route("/metrics", _replying(metrics), methods=["GET"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(_Counted, metrics=metrics, routes=routes),
            Middleware(AccessCheck, access=access or Access()),
        ],
        exception_handlers={
            VdrError: _refused,
            RequestError: _refused,
            ClientGoneError: _nobody,
            HTTPException: _other,
        },
    )


def _search_routes(
    encoder: DenseEncoder | MultiVectorEncoder,
    searcher: PageSearcher | None,
    limits: ServeLimits,
    bodies: Bodies,
    *,
    hybrid: bool | Hybrid,
) -> list[Route]:
    if searcher is None:
        return []
    from vdr_integrations.serve.search_page import page_routes
    from vdr_integrations.serve.search_routes import SearchRoutes
    from vdr_integrations.serve.searched_index import SearchedIndex

    index = SearchedIndex(searcher, encoder, hybrid=hybrid)
    return [*SearchRoutes(index, limits, bodies).routes(), *page_routes()]


def _health_of(encoder: DenseEncoder | MultiVectorEncoder) -> Callable[..., Awaitable[Response]]:
    async def reply(_: Request) -> Response:
        if encoder.core.is_usable:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "the model has no device any more"}, status_code=503)

    return reply


def _replying(metrics: ServerMetrics) -> Callable[[Request], Awaitable[Response]]:
    async def reply(_: Request) -> Response:
        return metrics.reply()

    return reply


async def _refused(_: Request, error: Exception) -> Response:
    return reply_to(error)


async def _nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=_GONE)


async def _other(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # see exception_handlers
    message = {404: "there is nothing at this path.", 405: "this method is not allowed here."}
    text = message.get(error.status_code, str(error.detail))
    return error_reply(text, status=error.status_code, kind="RequestError", headers=error.headers)


class _Counted:
    """Counts requests, by their route and status: pages do not count one by one."""

    def __init__(self, app: ASGIApp, metrics: ServerMetrics, routes: Sequence[Route]) -> None:
        self._app = app
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            self._metrics.note_request(self._path(scope), status, time.perf_counter() - began)

    def _path(self, scope: Scope) -> str:
        fitting = (one.path for one in self._routes if one.matches(scope)[0] is not Match.NONE)
        return next(fitting, "other")
