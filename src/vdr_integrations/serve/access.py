"""Who may call a server: the key, and the names under which it may be called."""

from __future__ import annotations

import hmac
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from vdr_integrations.encoders.elsewhere.server_address import checked_key
from vdr_integrations.encoders.elsewhere.server_variables import KEY_VARIABLE
from vdr_integrations.errors import OptionError
from vdr_integrations.serve.http_replies import error_reply
from vdr_integrations.types.loopback import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Access", "AccessCheck"]

_OPEN_PATHS = frozenset({"/healthz", "/"})
_OPEN_FOLDER = "/web/"
"""Paths without a key: whether it is alive, and the page that asks for the key, with its files."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call.

    Attributes:
        host: The address at which the server listens.
        key: The key that callers must have; None: callers on this machine need none.
        allowed_hosts: More names under which it may be called, as they are in a URL.
    """

    host: str = "127.0.0.1"
    key: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a server that anyone on the network could use.

        Raises:
            OptionError: No key, and an address that other machines reach; or a key that clients
                cannot send, or a host that is no name.
        """
        object.__setattr__(self, "key", checked_key(self.key))
        object.__setattr__(self, "allowed_hosts", tuple(map(_allowed, self.allowed_hosts)))
        if self.key is None and not is_loopback(self.host):
            raise OptionError(
                f"at {self.host} other machines can reach the server, and there is no key; set one "
                f"in the environment variable {KEY_VARIABLE}, or listen at 127.0.0.1."
            )


class AccessCheck:
    """Answers 401 or 403 to those who may not call.

    A web page of a stranger can let a browser call a server on its own machine under the
    stranger's name (DNS rebinding). So a server without a key checks the name.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        """Check before ``app`` is called."""
        self._app = app
        self._key = None if access.key is None else access.key.encode()
        self._hosts = {"localhost", *access.allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope), _own_path(scope))
        if refusal is None:
            await self._app(scope, receive, send)
            return
        status, message = refusal
        headers = {"www-authenticate": "Bearer"} if status == 401 else None
        reply = error_reply(message, status=status, kind="RequestError", headers=headers)
        await reply(scope, receive, send)

    def _refusal(self, headers: Headers, path: str) -> tuple[int, str] | None:
        if self._key is None:
            name = _host_name(headers.get("host", ""))
            if name in self._hosts or is_loopback(name):
                return None
            return 403, (
                f"the server was called as {name[:80]!r}; it may be called as localhost. Start it "
                f"with --allow-host if that name is right."
            )
        if path in _OPEN_PATHS or path.startswith(_OPEN_FOLDER):
            return None
        kind, _, key = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(key.strip().encode(), self._key):
            return None
        return 401, "this server needs a key; send it as Authorization: Bearer KEY."


def _own_path(scope: Scope) -> str:
    """The path inside this application, which may be mounted in another one."""
    path, mounted_at = scope["path"], scope.get("root_path", "")
    inside = path.removeprefix(mounted_at)
    return inside if inside.startswith("/") else path


def _allowed(host: str) -> str:
    """A host as :func:`_host_name` returns it; it may be given with a port.

    Raises:
        OptionError: It is no name and no address.
    """
    bare = f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
    with suppress(UnicodeError):  # browsers send the ASCII form of other letters
        bare = bare if bare.isascii() else bare.encode("idna").decode()
    name = _host_name(bare)
    if not name or "/" in host:
        raise OptionError(
            f"{host!r} is no name under which a server is called; give it as in an address, "
            f"without http:// and a path, such as gpu.example."
        )
    return name


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
