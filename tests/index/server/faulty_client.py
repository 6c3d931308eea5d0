"""A client whose calls fail like calls to a real server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import httpx
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qdrant_client import QdrantClient

KEY = "s3cret-key-0123456789"
FOR_EVER = 10_000


def timeout() -> Exception:
    return ResponseHandlingException(httpx.ReadTimeout(f"timed out, api-key: {KEY}"))


def reset() -> Exception:
    return ResponseHandlingException(httpx.ReadError(f"connection reset {KEY}"))


def refused() -> Exception:
    return ResponseHandlingException(httpx.ConnectError(f"refused {KEY}"))


def status(code: int, **headers: str) -> Exception:
    return UnexpectedResponse(
        code, f"reason {KEY}", f"echo: {KEY}".encode(), httpx.Headers({"x": KEY, **headers})
    )


def too_many(seconds: int) -> Exception:
    return ResourceExhaustedResponse(f"slow down {KEY}", seconds)


@dataclass
class Fault:
    """Some calls that fail.

    Attributes:
        method: Name of the client's method.
        error: Makes the error that they raise.
        when: Whether they fail before or after the server did the call.
        times: Number of calls that fail.
        fits: Whether a call with these options fails; the default fails all.
    """

    method: str
    error: Callable[[], Exception]
    when: Literal["before", "after"] = "before"
    times: int = FOR_EVER
    fits: Callable[[dict[str, Any]], bool] = field(default=lambda _: True)


class FaultyClient:
    """Passes calls on to a client, except for the given faults."""

    def __init__(self, client: QdrantClient) -> None:
        self._client = client
        self.faults: list[Fault] = []
        self.calls: list[str] = []
        self.on_call: Callable[[str, dict[str, Any]], None] | None = None

    def close(self) -> None:
        raise AssertionError("a client of the caller's stays open")

    def __getattr__(self, method: str) -> Any:
        target = getattr(self._client, method)

        def call(**options: Any) -> Any:
            self.calls.append(method)
            if self.on_call is not None:
                self.on_call(method, options)
            for fault in self.faults:
                if fault.method == method and fault.times > 0 and fault.fits(options):
                    fault.times -= 1
                    if fault.when == "after":
                        target(**options)
                    raise fault.error()
            return target(**options)

        return call


def of_kind(kind: str) -> Callable[[dict[str, Any]], bool]:
    """Select upserts of points of one kind."""

    def fits(options: dict[str, Any]) -> bool:
        points: Sequence[Any] = options.get("points") or []
        return bool(points) and points[0].payload["kind"] == kind

    return fits
