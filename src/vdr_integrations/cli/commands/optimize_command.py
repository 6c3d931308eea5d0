"""``vdr optimize``: free the space of removed pages."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from vdr_integrations.cli.options.common_options import DebugOption, IndexesOption, WaitOption  # noqa: TC001  # typer reads them
from vdr_integrations.cli.terminal.exits import reported

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["optimize_command"]


def optimize_command(
    *, index: IndexesOption, wait: WaitOption = 0.0, debug: DebugOption = False
) -> None:
    """Free the space of removed pages. Also rebuilds what speeds up searches.

    Searches can run meanwhile. vdr index and vdr rm do this themselves when they removed pages.

    Exit codes: 0 done, 1 error, 2 wrong usage.
    """
    with reported(debug=debug):
        from vdr_integrations.cli.options.indexes import opened_index

        with opened_index(index, wait_s=wait) as opened:
            before = _bytes(index)
            opened.optimize()
        sys.stdout.write(f"{before / 1e6:.1f} MB before, {_bytes(index) / 1e6:.1f} MB now\n")


def _bytes(folders: list[Path]) -> int:
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
