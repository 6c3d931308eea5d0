"""Limits of the processes in which files of others are opened. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from vdr_integrations.errors import OptionError

__all__ = ["DEFAULT_PROCESS_LIMITS", "ProcessLimits", "process_limits"]

_LEAST_MEMORY_MB = 256
"""Python, MuPDF and Pillow take 150 MB of address space before they open anything."""
_LONGEST_CPU_S = 86_400
"""A day, which the clocks of every platform can count."""
_WALL_S_PER_CPU_S = 10
_WALL_S_MORE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """Limits of a process in which MuPDF and Pillow open, measure and draw files of others.

    What exceeds one is the error of that document, page or image; the process is replaced.

    Attributes:
        memory_mb: Address space in MiB; at least 256. On macOS and Windows: resident memory,
            looked at four times a second.
        page_timeout_s: Seconds of CPU time to open a file, and again for each of its pages; above
            0, at most a day. 60 is ten thousand times what a simple page takes. Waiting does not
            count, up to :attr:`wall_s`: a busy machine fails no page.
    """

    memory_mb: int = 2048
    page_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse limits that no page could meet."""
        if not self.memory_mb >= _LEAST_MEMORY_MB:
            raise OptionError(
                f"page_memory_mb={self.memory_mb} (vdr index: --page-memory); it must be at least "
                f"{_LEAST_MEMORY_MB}."
            )
        if not 0 < self.page_timeout_s <= _LONGEST_CPU_S:  # false for NaN too
            raise OptionError(
                f"page_timeout_s={self.page_timeout_s} (vdr index: --page-timeout); it must be "
                f"above 0 and at most {_LONGEST_CPU_S:,} seconds."
            )

    @property
    def wall_s(self) -> float:
        """Seconds after which a page ends whatever it waits for: generous, for busy machines."""
        return _WALL_S_PER_CPU_S * self.page_timeout_s + _WALL_S_MORE


DEFAULT_PROCESS_LIMITS = ProcessLimits()


def process_limits(
    *,
    render_workers: int | None = None,
    page_timeout_s: float | None = None,
    page_memory_mb: int | None = None,
) -> ProcessLimits | None:
    """The limits that options ask for; None means to open files in this process, without limits.

    Args:
        render_workers: Number of processes. 0 stands for this process; None for the default.
        page_timeout_s: See :class:`ProcessLimits`; None uses its default.
        page_memory_mb: ``memory_mb`` of :class:`ProcessLimits`; None uses its default.

    Raises:
        OptionError: An option is out of range, or a limit is given although there is no process
            that it could hold for.
    """
    if render_workers is not None and render_workers < 0:
        raise OptionError(
            f"render_workers={render_workers} (vdr: --workers); it must be at least 0."
        )
    given = {"page_timeout_s": page_timeout_s, "page_memory_mb": page_memory_mb}
    if render_workers == 0:
        for name, value in given.items():
            if value is not None:
                raise OptionError(
                    f"{name}={value:g} with render_workers=0 (vdr: --workers 0): files are opened "
                    f"in this process, which has no limits. Leave one of the two out."
                )
        return None
    default = DEFAULT_PROCESS_LIMITS
    return ProcessLimits(
        memory_mb=default.memory_mb if page_memory_mb is None else page_memory_mb,
        page_timeout_s=default.page_timeout_s if page_timeout_s is None else page_timeout_s,
    )
