"""Calls of fsspec: their errors, without secrets, and what they tell of an object."""

from __future__ import annotations

import errno
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import VdrError
from vdr_integrations.pages.remote_systems import forget
from vdr_integrations.pages.store_trouble import RIGHTS, RemoteStoreError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from vdr_integrations.pages.store_place import StoreUrl

__all__ = ["OTHER_KIND", "TRY_AGAIN", "remote_calls", "time_ns_of"]

TRY_AGAIN = "Check the network, the URL and the address of its server, and try again."
OTHER_KIND = "Use a store of another kind, such as s3://, gs:// or abfs://."
_GONE = "the bucket or container does not exist"
_NO_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound"})
_MAKE_IT = "Make it first, or correct the URL."
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""What kinds call the time of the last writing."""


@contextmanager
def remote_calls(place: StoreUrl, *, is_missing: str = "") -> Generator[None]:
    """Errors of fsspec, and of the libraries below it, as OSError without secrets.

    Args:
        place: What is called.
        is_missing: What FileNotFoundError means here; empty where a file may be missing.

    Raises:
        FileNotFoundError: There is no such object.
        RemoteStoreError: Anything else.
    """
    try:
        yield
    except (VdrError, RemoteStoreError, MemoryError):
        raise
    except Exception as problem:
        missing = _GONE if _code(problem) in _NO_BUCKET else is_missing
        if isinstance(problem, FileNotFoundError) and not missing:
            raise
        is_clean = place.hides(str(problem)) == str(problem)
        raise _trouble(place, problem, missing) from (problem if is_clean else None)


def time_ns_of(facts: Mapping[str, Any]) -> int | None:
    """When an object was written, in nanoseconds since the epoch; None if nobody knows.

    Args:
        facts: What fsspec tells of it.
    """
    for key in _TIMES:
        found: object = facts.get(key)
        if isinstance(found, str):
            with suppress(ValueError):
                found = datetime.fromisoformat(found)
        if isinstance(found, datetime):
            aware = found if found.tzinfo else found.replace(tzinfo=UTC)
            return round(aware.timestamp() * 10**6) * 1000
        if isinstance(found, int | float) and not isinstance(found, bool):
            return round(found * 10**9)
    return None


def _trouble(place: StoreUrl, problem: Exception, is_missing: str) -> RemoteStoreError:
    text = str(problem).strip() or type(problem).__name__
    number = problem.errno if isinstance(problem, OSError) and problem.errno else errno.EIO
    advice = TRY_AGAIN
    if isinstance(problem, FileNotFoundError):
        number, text, advice = errno.ENOENT, is_missing, _MAKE_IT
    elif isinstance(problem, PermissionError):
        number, advice = errno.EACCES, RIGHTS
        forget(place)  # with other credentials, it is opened anew
    elif isinstance(problem, NotImplementedError):
        number, text, advice = errno.ENOTSUP, "this kind of store cannot do that", OTHER_KIND
    return RemoteStoreError(number, place.hides(text), advice=advice)


def _code(problem: BaseException) -> str:
    """The code in a reply of the server, as botocore and the libraries of Azure keep it."""
    for one in (problem, problem.__cause__):
        response: Any = getattr(one, "response", None)
        with suppress(AttributeError, KeyError, TypeError):
            return str(response["Error"]["Code"])
        code = getattr(one, "error_code", None)
        if code is not None:
            return str(code)
    return ""
