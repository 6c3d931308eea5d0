"""The file systems of fsspec that page stores use: opened once a process, without caches."""

from __future__ import annotations

import errno
import functools
import os
from typing import Any

from vdr_integrations.errors import MissingExtraError, OptionError
from vdr_integrations.pages.store_place import S3, StoreUrl
from vdr_integrations.pages.store_trouble import RIGHTS, RemoteStoreError

__all__ = ["forget", "opened_system"]

_opened: dict[tuple[int, StoreUrl], tuple[Any, str]] = {}
"""By process: a forked child opens its own, and leaves connections of its parent untouched. Those
stay here, because to close them in the child would disturb the parent."""
_PACKAGES: dict[str, str] = dict.fromkeys(S3, "s3fs")


def opened_system(place: StoreUrl) -> tuple[Any, str]:
    """The file system of a URL, and the path of the URL in it. Nothing is connected yet.

    Another process's objects are seen: no listing is kept.

    Raises:
        MissingExtraError: The package for such URLs is not installed.
        OptionError: fsspec does not know such URLs.
        RemoteStoreError: It cannot be opened for another reason (an OSError).
    """
    key = (os.getpid(), place)
    found = _opened.get(key)
    if found is None:
        found = _opened.setdefault(key, _open(place))
    return found


def forget(place: StoreUrl) -> None:
    """Open the file system of a URL anew when it is used next, with the credentials of then."""
    _opened.pop((os.getpid(), place), None)


def _patience(place: StoreUrl) -> dict[str, Any]:
    """One attempt a request of botocore, because s3fs makes five of it: 5 times 5 are minutes.

    Whoever chooses it, in the environment or in the files of fsspec, gets what was chosen.
    """
    from fsspec.config import conf

    chosen: dict[str, Any] = conf.get("s3", {})
    if place.protocol not in S3 or "AWS_MAX_ATTEMPTS" in os.environ or "config_kwargs" in chosen:
        return {}
    return {"config_kwargs": {"retries": {"total_max_attempts": 1}}}


@functools.cache
def _leave_event_loop_to_parent() -> None:
    """Let forked children start an event loop of their own; fsspec 2025.3 does not see to it."""
    from fsspec.asyn import reset_lock

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=reset_lock)


def _open(place: StoreUrl) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    _leave_event_loop_to_parent()
    try:
        return url_to_fs(
            place.opened,
            use_listings_cache=False,
            skip_instance_cache=True,
            **place.options,
            **_patience(place),
        )
    except ImportError as problem:
        cause = problem.__cause__
        missing = cause.name if isinstance(cause, ImportError) else problem.name
        package = _PACKAGES.get(place.protocol, missing or place.protocol)
        raise MissingExtraError(
            package=package,
            extra="s3" if package == "s3fs" else "",
            purpose=f"{place.what} {place}",
        ) from problem
    except ValueError as problem:
        raise OptionError(
            f"{place.what} {place} cannot be opened: {place.hides(str(problem)).rstrip('.')}. Use "
            f"a folder, or a URL that fsspec knows, such as s3://bucket/pages."
        ) from None
    except Exception as problem:  # noqa: BLE001  # some ask for credentials at once, with errors of their own
        text = place.hides(str(problem) or type(problem).__name__)
        raise RemoteStoreError(errno.EACCES, text, advice=RIGHTS) from None
