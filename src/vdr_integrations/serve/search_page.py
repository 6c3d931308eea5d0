"""The page on which people search, and its files. It loads nothing from any other host."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from vdr_integrations.look.shared_style import shared_style

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["page_routes"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}
_PAGE = "search_page.html"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def page_routes() -> list[Route]:
    """The paths of the page, ``/``, and of its files, which are in memory."""
    folder = files("vdr_integrations.serve") / "assets"
    texts = {one.name: one.read_text(encoding="utf-8") for one in folder.iterdir() if one.is_file()}
    texts["look.css"] = shared_style()
    served = {name: _File(name, text) for name, text in texts.items()}
    page = served.pop(_PAGE)

    async def of_page(request: Request) -> Response:
        return page.reply(request)

    async def of_file(request: Request) -> Response:
        file = served.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        return file.reply(request)

    return [
        Route("/", of_page, methods=["GET"]),
        Route("/web/{name}", of_file, methods=["GET"]),
    ]


class _File:
    """A file of the page."""

    def __init__(self, name: str, text: str) -> None:
        self._body = text.encode()
        self._type = _TYPES[name.rpartition(".")[2]]
        self._tag = f'"{hashlib.sha256(self._body).hexdigest()[:32]}"'

    def reply(self, request: Request) -> Response:
        headers = {**_HEADERS, "etag": self._tag}
        if request.headers.get("if-none-match") == self._tag:
            return Response(status_code=304, headers=headers)
        return Response(self._body, media_type=self._type, headers=headers)
