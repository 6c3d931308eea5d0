"""Calls to a server that runs a model: they are tried again while that may help."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import weakref
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from vdr_integrations import errors
from vdr_integrations.encoders.elsewhere.io_loop import in_io_loop
from vdr_integrations.encoders.elsewhere.server_address import ServerAddress
from vdr_integrations.encoders.elsewhere.server_variables import KEY_VARIABLE
from vdr_integrations.encoders.runtime.forks import PerProcess
from vdr_integrations.errors import ModelServerError, VdrError
from vdr_integrations.types.pauses import pauses

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BUSY_S",
    "FIRST_CONTACT_S",
    "UNREACHABLE_S",
    "HttpCalls",
    "RefusedError",
    "calls_to",
    "json_of",
]

FIRST_CONTACT_S = 10.0
"""How long a server that was never reached is tried: more likely, its address is wrong."""
UNREACHABLE_S = 180.0
"""How long a server that was reached before may be away: it loads its model again meanwhile."""
BUSY_S = 900.0
"""How long a server may have no room in its queue."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_TIMEOUT = httpx.Timeout(connect=10.0, write=60.0, read=900.0, pool=None)
"""In seconds. A window of pages takes a second on a GPU; a large model on a CPU takes minutes."""
_LIMITS = httpx.Limits(max_connections=128, max_keepalive_connections=64, keepalive_expiry=30.0)
_BUSY = frozenset({429, 503})
_AWAY = frozenset({408, 502, 504})  # of a proxy; 408: the request came too slowly
_LASTING = (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError)
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
"""What OpenSSL says of an answer in plain text."""
_LONGEST_MESSAGE = 600
_LONGEST_REASON = 200
_PACKED_FROM_BYTES = 4096
_PACKING_LEVEL = 1
_ADVICE = {
    401: f"it needs a key; give it as token, or in the environment variable {KEY_VARIABLE}.",
    403: "it refuses the key, or the name under which it was called (its --allow-host).",
    404: (
        "what was asked for is not there. Leave /v1 out of the address; if it has none, is this "
        "vdr serve of the same version, or vLLM?"
    ),
    409: "it serves another model than before; load the encoder again.",
    413: "the request is larger than it accepts.",
}


class RefusedError(ModelServerError):
    """The server answered, and refused in a way that asking again does not change."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """An attempt that may be made again.

    Attributes:
        why: What was found.
        is_busy: Whether the server answered that it has no room.
        after_s: Seconds that it asks to wait.
    """

    why: str
    is_busy: bool = False
    after_s: float = 0.0


class HttpCalls:
    """Calls one server. Use it in the loop of :func:`in_io_loop` only.

    Every call may be made twice without harm: the server computes, and keeps nothing.
    """

    def __init__(self, address: ServerAddress) -> None:
        """Nothing is connected yet."""
        self.address = address
        self._was_reached = False
        # Connections belong to one process: a forked child makes its own.
        self._clients: PerProcess[list[httpx.AsyncClient]] = PerProcess(list[httpx.AsyncClient])
        weakref.finalize(self, _close, self._clients).atexit = False

    async def get(self, path: str) -> Any:  # noqa: ANN401  # JSON
        """The JSON at a path.

        Raises:
            ModelServerError: The server cannot be reached, or answers in another way.
        """
        return _json(await self._asked("GET", path, b"", {}), self.address.url)

    async def post_json(
        self, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The answer to JSON.

        Raises:
            ModelServerError: See :meth:`get`.
            VdrError: What the server raised.
        """
        content = json.dumps(body).encode()
        given = {"content-type": "application/json", **(headers or {})}
        return await self._asked("POST", path, content, given)

    async def post_bytes(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> httpx.Response:
        """The answer to bytes; they are packed on their way to another machine.

        Raises:
            ModelServerError: See :meth:`get`.
            VdrError: What the server raised.
        """
        given = {"content-type": "application/octet-stream", **headers}
        # Pages pack to a twentieth, which takes 4 ms: less than a network takes for the rest.
        if not self.address.is_here and len(body) >= _PACKED_FROM_BYTES:
            body = await asyncio.to_thread(zlib.compress, body, _PACKING_LEVEL)
            given["content-encoding"] = "deflate"
        return await self._asked("POST", path, body, given)

    async def _asked(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str]
    ) -> httpx.Response:
        alive = began = time.monotonic()
        until_next = pauses(first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
        while True:
            found = await self._tried(method, path, content, headers)
            now = time.monotonic()
            if isinstance(found, httpx.Response):
                self._was_reached = True
                return found
            if found.is_busy:
                self._was_reached, alive = True, now
            wait = max(found.after_s, next(until_next))
            away_s = UNREACHABLE_S if self._was_reached else FIRST_CONTACT_S
            if now + wait - alive > away_s or now + wait - began > BUSY_S:
                raise ModelServerError(
                    f"{self.address.url} gave no answer for {now - began:.0f} s ({found.why}). "
                    f"Check that vdr serve or vLLM runs there, then try again."
                )
            await asyncio.sleep(wait)

    async def _tried(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str]
    ) -> httpx.Response | _Refused:
        url, client = self.address.url, self._client()
        try:
            answer = await client.request(method, url + path, content=content, headers=headers)
        except httpx.ReadTimeout:
            raise ModelServerError(
                f"{url} did not answer a request within {_TIMEOUT.read:.0f} s; send it fewer pages "
                f"at once, or look at its /metrics."
            ) from None
        except httpx.DecodingError as error:
            raise ModelServerError(
                f"{url} answers with what cannot be unpacked ({str(error)[:_LONGEST_REASON]}); is "
                f"there a proxy that changes content-encoding?"
            ) from None
        except _LASTING as error:
            raise ModelServerError(f"{url} cannot be called ({type(error).__name__}).") from None
        except (httpx.TransportError, OSError) as error:
            why = f"{type(error).__name__}: {str(error)[:_LONGEST_REASON]}".removesuffix(": ")
            if _is_of_tls(error):
                raise ModelServerError(
                    f"{url} cannot be called ({why}). Check that it is right to call it with "
                    f"https, and that this machine trusts its certificate (SSL_CERT_FILE)."
                ) from None
            return _Refused(why)
        if answer.is_success:
            return answer
        if answer.status_code in _BUSY | _AWAY:
            busy = answer.status_code in _BUSY
            after_s = _seconds(answer.headers.get("retry-after"))
            return _Refused(f"HTTP {answer.status_code}", is_busy=busy, after_s=after_s)
        raise _raised(answer, url)

    def _client(self) -> httpx.AsyncClient:
        held = self._clients.value
        if not held:
            address = self.address
            key = {} if address.key is None else {"authorization": f"Bearer {address.key}"}
            try:
                # A proxy is for other machines.
                client = httpx.AsyncClient(
                    headers=key, timeout=_TIMEOUT, limits=_LIMITS, trust_env=not address.is_here
                )
            except (httpx.InvalidURL, ImportError, OSError, ValueError) as error:
                # The address of a proxy may hold a password.
                told = f": {error}" if isinstance(error, ImportError | OSError) else ""
                raise ModelServerError(
                    f"{address.url} cannot be called ({type(error).__name__}{told}). Look at the "
                    f"environment variables HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, "
                    f"SSL_CERT_FILE and SSL_CERT_DIR."
                ) from None
            held.append(client)
        return held[0]


def _close(clients: PerProcess[list[httpx.AsyncClient]]) -> None:
    held, clients.value = clients.value, []
    for client in held:
        with suppress(RuntimeError, VdrError, SystemExit):
            in_io_loop(client.aclose())


_shared: PerProcess[weakref.WeakValueDictionary[ServerAddress, HttpCalls]] = PerProcess(
    weakref.WeakValueDictionary[ServerAddress, HttpCalls]
)


def calls_to(address: ServerAddress) -> HttpCalls:
    """The calls to a server, with the connections that others of this process use."""
    return _shared.value.setdefault(address, HttpCalls(address))


def json_of(answer: httpx.Response) -> Any:  # noqa: ANN401
    """The JSON of an answer.

    Raises:
        ValueError: It is none, or nests too deep to be read.
    """
    try:
        return answer.json()
    except RecursionError:
        raise ValueError("it nests too deep") from None


def _is_of_tls(error: BaseException | None) -> bool:
    """Whether the other side has no TLS, or a certificate that is not trusted."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return isinstance(error, ssl.SSLCertVerificationError) or (
        isinstance(error, ssl.SSLError) and error.reason in _NO_TLS
    )


def _json(answer: httpx.Response, url: str) -> Any:  # noqa: ANN401
    try:
        return json_of(answer)
    except ValueError:
        raise ModelServerError(f"{url} does not answer in JSON; is it vdr serve or vLLM?") from None


def _raised(answer: httpx.Response, url: str) -> VdrError:
    """What the server raised: an error of this package, or what another kind of server says."""
    status = answer.status_code
    try:
        found = json_of(answer)
        found = found.get("error", found)  # vLLM's error was the whole answer once
        kind, message = getattr(errors, str(found["type"]), None), str(found["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        kind, message = None, ""
    message = message[:_LONGEST_MESSAGE]
    if isinstance(kind, type) and kind in _RAISED:
        return kind(message)
    advice = _ADVICE.get(status, "look at what it writes about that.")
    said = f" It says: {message!r}" if message else ""
    return RefusedError(f"{url} answered with HTTP {status}; {advice}{said}")


_RAISED: tuple[type[VdrError], ...] = (
    errors.OptionError,
    errors.EncodingError,
    errors.QueryTooLongError,
    errors.InvalidVectorError,
    errors.DeviceMemoryError,
    errors.ModelServerError,
)
"""Errors that a server may hand on: they are about what was sent, or about the model."""


def _seconds(retry_after: str | None) -> float:
    try:
        return min(max(float(retry_after or 0), 0.0), _LONGEST_PAUSE_S * 4)
    except ValueError:
        return 0.0
