"""Why a process ended, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vdr_integrations.pages.process_limits import ProcessLimits
    from vdr_integrations.pages.processes.child_process import ProcessEndedError

__all__ = ["why_ended"]


def why_ended(end: ProcessEndedError, limits: ProcessLimits, *, doing: str) -> str:
    """The reason of an error: the limit, the option that sets it, and what to do.

    Args:
        end: How the process ended.
        limits: Its limits.
        doing: What it did, for the message: "draw it".
    """
    if end.by == "memory":
        return (
            f"to {doing} takes more memory than its process may have, {limits.memory_mb:,} MiB. "
            f"It has too much content, or is made to do harm. Leave it out, or raise "
            f"page_memory_mb (vdr: --page-memory)."
        )
    if end.by == "CPU time":
        return (
            f"to {doing} takes more than {limits.page_timeout_s:g} s of CPU time. It has too much "
            f"content, or is made to do harm. Leave it out, or raise page_timeout_s (vdr: "
            f"--page-timeout)."
        )
    if end.by == "wall time":
        return (
            f"to {doing} was not done after {limits.wall_s:g} s, and had not used "
            f"{limits.page_timeout_s:g} s of CPU time. This machine or its disk is too busy: raise "
            f"page_timeout_s (vdr: --page-timeout), and do it again when it is not."
        )
    return (
        f"its process ended ({end.detail}) when it should {doing}. It is damaged, or made to do "
        f"harm, or takes more memory than {limits.memory_mb:,} MiB (page_memory_mb; vdr: "
        f"--page-memory). Leave it out."
    )
