"""The lock of a writer that forks."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.patience import HANG_S

from vdr_integrations.index.folder.writer_lock import LOCK_NAME, WriterLock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

ASK = """
import sys, filelock
try:
    filelock.FileLock(sys.argv[1]).acquire(timeout=0)
except filelock.Timeout:
    print("held")
"""


def is_held(folder: Path) -> bool:
    asked = [sys.executable, "-c", ASK, str(folder / LOCK_NAME)]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    return done.stdout == "held\n"


def let_go(held: AbstractContextManager[None]) -> None:
    held.__exit__(None, None, None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_that_lets_go_leaves_the_lock_to_its_parent(tmp_path: Path) -> None:
    held = WriterLock(tmp_path).held(wait_s=0)
    with held:
        child = multiprocessing.get_context("fork").Process(target=let_go, args=(held,))
        child.start()
        child.join(HANG_S)
        assert child.exitcode == 0
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
