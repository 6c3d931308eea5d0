"""The actor that draws and writes a shard ends when Ray lets go of it."""

from __future__ import annotations

import subprocess
import sys

from tests.patience import HANG_S

ACTOR = """
import ctypes
from vdr_integrations.ray_jobs.shard_work import ShardWorker

libc = ctypes.CDLL(None)
libc.__cxa_atexit(libc.pause, None, None)  # as Ray's own end, which waits for itself at times
ShardWorker(None)
print("done")
"""


def test_its_process_ends_although_the_end_of_ray_in_it_hangs() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ACTOR], timeout=HANG_S, check=True, capture_output=True, text=True
    )
    assert ended.stdout == "done\n"
