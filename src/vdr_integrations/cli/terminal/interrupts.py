"""How the program ends after Ctrl-C."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

__all__ = ["INTERRUPTED", "end_at_once"]

INTERRUPTED = 130
"""The exit code: 128 and the number of SIGINT, as shells count."""


def end_at_once() -> NoReturn:
    """Leave without taking Python and torch apart, which takes a second; all is closed by now."""
    try:
        from vdr_integrations.pages.processes.process_pool import close_pools

        close_pools()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:  # also at a second interrupt
        os._exit(INTERRUPTED)
