"""What a user is told when a page store cannot be used: what is wrong, and what to do."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vdr_integrations.errors import PageStoreError, VdrError
from vdr_integrations.pages.read_file import refuse_shortage

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["RIGHTS", "STORE_VARIABLE", "RemoteStoreError", "store_trouble"]

STORE_VARIABLE = "VDR_PAGE_STORE"
"""Environment variable with the folder, or the URL, of the default store."""

RIGHTS = (
    "Give credentials that may read, write, list and delete there; for S3 in AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or by a profile or role."
)
"""Advice where a store at a URL refuses a request."""


class RemoteStoreError(OSError):
    """A store at a URL cannot be used; its text holds no secret.

    Attributes:
        advice: What to do, as a sentence.
    """

    def __init__(self, number: int, text: str, *, advice: str) -> None:
        super().__init__(number, text)
        self.advice = advice


@contextmanager
def store_trouble(source: str, failure: str) -> Generator[None]:
    """Report errors of the file system for a store as PageStoreError.

    Args:
        source: The page, or the store as a whole.
        failure: What cannot be done, as the beginning of a sentence.

    Raises:
        PageStoreError: Instead of an OSError.
        ResourceError: This machine is short of memory or open files.
    """
    try:
        yield
    except VdrError:
        raise
    except OSError as problem:
        refuse_shortage(problem, source_name=source)
        why = problem.strerror or str(problem) or type(problem).__name__
        if isinstance(problem, RemoteStoreError):
            raise PageStoreError(
                f"{failure}: {why.rstrip('.')}. {problem.advice} To use another store, name its "
                f"folder or URL in the environment variable {STORE_VARIABLE}, or as "
                f"page_store_path or --store if that was given.",
                source=source,
            ) from problem
        path = problem.filename2 or problem.filename  # where a file was to be moved, or was opened
        where = "" if path is None else f" ({path})"
        advice = next((f"{text} " for numbers, text in _ADVICE if problem.errno in numbers), "")
        raise PageStoreError(
            f"{failure}: {why}{where}. {advice}To use another folder, name it in the environment "
            f"variable {STORE_VARIABLE}, or as page_store_path or --store if that was given.",
            source=source,
        ) from problem


_ADVICE = (
    (
        {errno.ENOSPC, errno.EDQUOT},
        "Free space there; vdr store prune removes pages that no index needs.",
    ),
    ({errno.EFBIG}, "Raise the limit of file sizes (ulimit -f)."),
    (
        {errno.EACCES, errno.EPERM, errno.EROFS},
        "Make the folder, and all that is in it, readable and writable for this user.",
    ),
    (
        {errno.ENOTDIR, errno.EISDIR, errno.EEXIST},
        "Something else lies in the place of its files; move that away.",
    ),
)
