"""Another process that writes to an index, as ``vdr index`` does while it runs."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_HOLDER = """
import sys
from vdr_integrations.index import open_index
with open_index(sys.argv[1]) as index, index.writing():
    print("writing", flush=True)
    sys.stdin.read()
"""


@contextmanager
def writing_elsewhere(path: Path | str) -> Generator[subprocess.Popen[str]]:
    """A process that keeps other writers out until its stdin or the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "writing\n"
        yield other
        other.stdin.close()
