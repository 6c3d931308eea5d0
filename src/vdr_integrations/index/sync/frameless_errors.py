"""Errors that are kept for a report, without the stacks in which they were raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vdr_integrations.errors import PageError

__all__ = ["without_frames"]


def without_frames(error: PageError) -> PageError:
    """Drop the tracebacks of an error and of its causes, and return it.

    A traceback holds the variables of each function that the error passed through, about 10 KB a
    page. A file of a few bytes can have 90,000 pages that fail.
    """
    one: BaseException | None = error
    while one is not None:
        one.__traceback__ = None
        # The causes stay. What else was being handled then may be an error of the caller.
        one.__context__ = None
        one = one.__cause__
    return error
