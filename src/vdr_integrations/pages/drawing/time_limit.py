"""End a process that is busy for too long, even if C code does not let Python run."""

from __future__ import annotations

import faulthandler
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["LONGEST_LIMIT_S", "ends_this_process"]

LONGEST_LIMIT_S = 86_400
"""A day, which the clocks of every platform can count."""


@contextmanager
def ends_this_process(*, after_s: float) -> Generator[None]:
    """End this process with code 1, without any output, if the block takes longer."""
    # faulthandler waits in a thread of C. A Python thread could not run while MuPDF holds the GIL.
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        faulthandler.dump_traceback_later(after_s, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
