"""Errors of a server and of the data that it holds.

Messages never repeat the text of a server or of a library, because that text may contain a key; of
the text of a server, it only counts whether it has words that are known to be of a cluster.
They have the method, the kind of failure and the HTTP status. The errors have no cause, because it
would reveal more.
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

_TRIED_AGAIN = frozenset({408, 429, 502, 503, 504})
_OF_CLUSTER = (
    "active replica",
    "replica of shard",
    "replica set",
    "via leader peer",
    "no leader",
    "consensus",
    "please retry",
    "attempts were rejected",
    "shard transfer",
    "transport error",
    "read operations failed",
)
"""What a server says with status 500 if other nodes do not answer, or shards are being moved."""
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
    400: "the server does not accept the request; is it as new as qdrant-client?",
    401: "check the api key.",
    403: "check the api key and its permissions, and whether the server accepts writes.",
    408: "the server, or another node of its cluster, took too long; try again later.",
    409: "the collection exists already, or another writer is at work.",
    413: "a page is larger than the server accepts; raise its max_request_size_mb.",
    429: "the server has too many requests; try again later.",
    507: "the server's disk is full; make room, then try again.",
}
_CLUSTER_ADVICE = (
    "too few copies of a shard can be used. Look at the nodes of the cluster and at the states of "
    "its shards (GET /collections/NAME/cluster); try again when they are active."
)
_LONGEST_RETRY_AFTER_S = 3600.0


class InDoubtError(IndexStoreError):
    """The call failed, but the server may have done it, or may still do it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call failed.

    Attributes:
        kind: Kind of failure, as "HTTP 503" or "ReadTimeout".
        status: HTTP status; None if there is none.
        is_passing: Whether another attempt may help.
        is_in_doubt: Whether the server may have done the call nevertheless.
        retry_after_s: Seconds that the server asks to wait; 0 if it does not say.
        is_of_cluster: Whether nodes of a cluster could not do it together.
    """

    kind: str
    status: int | None = None
    is_passing: bool = False
    is_in_doubt: bool = False
    retry_after_s: float = 0.0
    is_of_cluster: bool = False


def failure_of(error: Exception) -> Failure | None:
    """The failure of an error of the client; None if neither server nor network caused it."""
    import grpc
    import httpx
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    cause = error.source if isinstance(error, ResponseHandlingException) else error
    kind = type(cause).__name__
    if isinstance(cause, httpx.TransportError | OSError):
        is_passing = kind not in _LASTING
        return Failure(kind, is_passing=is_passing, is_in_doubt=kind not in _BEFORE_SENDING)
    if cause is not error:  # an answer that cannot be read: the server may have done the call
        return Failure(kind, is_in_doubt=True)
    if isinstance(error, UnexpectedResponse):
        said = error.content.decode(errors="replace")
        return _by_status(error.status_code, error.headers.get("retry-after"), said=said)
    if isinstance(error, QdrantException):  # 429 with Retry-After
        return _by_status(429, getattr(error, "retry_after_s", None))
    if isinstance(error, grpc.RpcError):
        name = _grpc_code(error)
        said = str(getattr(error, "details", str)())
        return _by_status(_GRPC_STATUS.get(name, 500), None, kind=f"gRPC {name}", said=said)
    return _own_refusal(error) if isinstance(error, ValueError | RuntimeError) else None


def trouble(location: str, method: str, failure: Failure, *, tries: int) -> IndexStoreError:
    """The error of a call that is not tried again."""
    if failure.status == 404:
        return IndexNotFoundError(
            f"there is no collection {location} (any more); make it first, or check the name."
        )
    times = "" if tries == 1 else f" after {tries} attempts"
    advice = _ADVICE.get(failure.status or 0, "check the server, then try again.")
    advice = _CLUSTER_ADVICE if failure.is_of_cluster else advice
    kind = InDoubtError if failure.is_in_doubt else IndexStoreError
    return kind(f"collection {location}: {method} failed{times} ({failure.kind}); {advice}")


def altered(location: str, where: str, what: str) -> IndexFormatError:
    """The error of one document or page that is not what was written."""
    return IndexFormatError(
        f"index {location} is damaged at {where} ({what}). Other documents can be used: remove "
        f"this one (vdr rm) and index it again."
    )


def damaged(location: str, finding: str) -> IndexFormatError:
    """The error of an index whose settings cannot be read."""
    return IndexFormatError(
        f"index {location} is damaged ({finding}). Keep the collection, and check whether another "
        f"program writes to it; if you cannot repair it, index the documents again into a new one."
    )


def made_again(location: str) -> IndexMismatchError:
    """The error of an index that is not the one that was opened."""
    return IndexMismatchError(
        f"index {location} was deleted and made again with other settings since it was opened; "
        f"open it again."
    )


def _own_refusal(error: ValueError | RuntimeError) -> Failure:
    """The failure of an error of the client itself; its in-process mode has no HTTP status."""
    is_gone = isinstance(error, ValueError) and str(error).endswith("not found")
    return Failure(type(error).__name__, status=404 if is_gone else None)


def _by_status(
    status: int | None, retry_after: object, *, kind: str | None = None, said: str = ""
) -> Failure:
    is_of_cluster = status == 500 and any(part in said.lower() for part in _OF_CLUSTER)
    return Failure(
        kind or f"HTTP {status}",
        status=status,
        is_passing=status in _TRIED_AGAIN or is_of_cluster,
        is_in_doubt=status is None or status >= 500 or status == 408,
        retry_after_s=_seconds(retry_after),
        is_of_cluster=is_of_cluster,
    )


def _seconds(retry_after: object) -> float:
    """Seconds that Retry-After asks for; 0 for a date or any other text."""
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
