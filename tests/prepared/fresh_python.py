"""What stands for a prepared Python on systems that have none: each program is a new process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.prepared.python import Place

__all__ = ["FreshPython"]


class FreshPython:
    """Starts programs as ``PreparedPython`` does."""

    def start(
        self,
        *arguments: str,
        stdin: Place = None,
        stdout: Place = None,
        stderr: Place = None,
        text: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[Any]:
        """As `subprocess.Popen([sys.executable, *arguments], ...)`, with the path of this one."""
        found = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return subprocess.Popen(
            [sys.executable, *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            encoding="utf-8" if text else None,
            env={**found, **(os.environ if env is None else env)},
        )
