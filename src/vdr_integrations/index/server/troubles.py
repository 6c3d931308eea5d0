"""What can be wrong with a server or with what it holds, and how that is said.

What a server or a library says is never repeated: it may hold a key. Messages have the method,
the kind of failure and the HTTP status, and errors have no cause that would say more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vdr_integrations.errors import (
    IndexFormatError,
    IndexMismatchError,
    IndexNotFoundError,
    IndexStoreError,
)

__all__ = ["Failure", "InDoubtError", "altered", "damaged", "failure_of", "made_again", "trouble"]

_TRIED_AGAIN = frozenset({429, 502, 503, 504})
_GRPC_STATUS = {
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "RESOURCE_EXHAUSTED": 429,
    "NOT_FOUND": 404,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "INVALID_ARGUMENT": 400,
    "ALREADY_EXISTS": 409,
}
_LASTING = frozenset({"LocalProtocolError", "UnsupportedProtocol"})
_BEFORE_SENDING = _LASTING | {"ConnectError", "ConnectTimeout", "PoolTimeout"}
_ADVICE = {
    400: "it does not take what was sent; is it as new as qdrant-client?",
    401: "look at the api key.",
    403: "look at the api key and what it allows.",
    409: "it is there already, or another writer is at work.",
    413: "a page is larger than the server takes; raise its max_request_size_mb.",
    429: "it has too much to do; try again later.",
    507: "its disk is full; make room, then try again.",
}
_LONGEST_RETRY_AFTER_S = 3600.0


class InDoubtError(IndexStoreError):
    """The server may have done what was asked, or may yet do it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call failed.

    Attributes:
        kind: "HTTP 503", "ReadTimeout".
        status: Of HTTP, None for none.
        is_passing: Whether another try may help.
        is_in_doubt: Whether it may have been done all the same.
        retry_after_s: How long the server asks to wait; 0 where it does not say.
    """

    kind: str
    status: int | None = None
    is_passing: bool = False
    is_in_doubt: bool = False
    retry_after_s: float = 0.0


def failure_of(error: Exception) -> Failure | None:
    """What an error of the client's means; None for one that is not the server's or the way's."""
    import grpc
    import httpx
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    cause = error.source if isinstance(error, ResponseHandlingException) else error
    kind = type(cause).__name__
    if isinstance(cause, httpx.TransportError | OSError):
        is_passing = kind not in _LASTING
        return Failure(kind, is_passing=is_passing, is_in_doubt=kind not in _BEFORE_SENDING)
    if cause is not error:  # an answer that could not be read: the server had done something
        return Failure(kind, is_in_doubt=True)
    if isinstance(error, UnexpectedResponse):
        return _by_status(error.status_code, error.headers.get("retry-after"))
    if isinstance(error, QdrantException):  # 429 with Retry-After
        return _by_status(429, getattr(error, "retry_after_s", None))
    if isinstance(error, grpc.RpcError):
        name = _grpc_code(error)
        return _by_status(_GRPC_STATUS.get(name, 500), None, kind=f"gRPC {name}")
    return _own_refusal(error) if isinstance(error, ValueError | RuntimeError) else None


def trouble(location: str, method: str, failure: Failure, *, tries: int) -> IndexStoreError:
    """The error of a call that failed for good."""
    if failure.status == 404:
        return IndexNotFoundError(
            f"there is no collection {location} (any more); make one first, or look at the name."
        )
    times = "" if tries == 1 else f" after {tries} tries"
    advice = _ADVICE.get(failure.status or 0, "look at the server, then try again.")
    kind = InDoubtError if failure.is_in_doubt else IndexStoreError
    return kind(f"collection {location}: {method} failed{times} ({failure.kind}); {advice}")


def altered(location: str, where: str, what: str) -> IndexFormatError:
    """The error of one document or page that is not what was written."""
    return IndexFormatError(
        f"index {location} is damaged at {where} ({what}). Other documents can be used: remove "
        f"this one (vdr rm) and index it again."
    )


def damaged(location: str, finding: str) -> IndexFormatError:
    """The error of an index of which nothing can be said."""
    return IndexFormatError(
        f"index {location} is damaged ({finding}). Keep the collection, and look whether another "
        f"program writes to it; if that cannot be mended, index the documents again into a new one."
    )


def made_again(location: str) -> IndexMismatchError:
    """The error of an index that is not the one that was opened."""
    return IndexMismatchError(
        f"index {location} was deleted and made again with other settings since it was opened; "
        f"open it again."
    )


def _own_refusal(error: ValueError | RuntimeError) -> Failure:
    """Of the client's; its in-process mode knows no status."""
    is_gone = isinstance(error, ValueError) and str(error).endswith("not found")
    return Failure(type(error).__name__, status=404 if is_gone else None)


def _by_status(status: int | None, retry_after: object, *, kind: str | None = None) -> Failure:
    return Failure(
        kind or f"HTTP {status}",
        status=status,
        is_passing=status in _TRIED_AGAIN,
        is_in_doubt=status is None or status >= 500,
        retry_after_s=_seconds(retry_after),
    )


def _seconds(retry_after: object) -> float:
    """What Retry-After asks for; 0 for a date or anything else."""
    try:
        seconds = float(str(retry_after))
    except ValueError:
        return 0.0
    return min(seconds, _LONGEST_RETRY_AFTER_S) if seconds > 0 else 0.0


def _grpc_code(error: Any) -> str:  # noqa: ANN401  # grpc's classes are untyped
    try:
        return str(error.code().name)
    except AttributeError:
        return "UNKNOWN"
