"""A process that ends while this package computes ends with its own exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.patience import HANG_S

if TYPE_CHECKING:
    from tests.prepared.python import PreparedPython

BUSY = """
import sys, threading
import numpy as np
from PIL import Image
from vdr_integrations import load_encoder

encoder = load_encoder("nano", device="cpu")
encoder.encode_pages([Image.new("RGB", (400, 400))])

def pages():
    for number in range(10_000):
        if number == 12:
            working.set()
        yield Image.new("RGB", (400, 400), (number % 256, 0, 0))

def in_daemon_thread(work):
    threading.Thread(target=work, daemon=True).start()
    assert working.wait(120)

working = threading.Event()
"""
AT_THE_END = """
import atexit

def encode():
    try:
        print(encoder.encode_queries(["what"]))
    except Exception as error:
        print(f"{type(error).__name__}: {error}")

atexit.register(encode)
threads = []
atexit.register(lambda: [thread.join() for thread in threads])
"""
ENDS = {
    "sys.exit beside a daemon thread": (
        "in_daemon_thread(lambda: encoder.encode_pages(pages()))\nsys.exit(7)",
        7,
    ),
    "end of the script beside a daemon thread": (
        "in_daemon_thread(lambda: encoder.encode_pages(pages()))",
        0,
    ),
    "an error beside a daemon thread": (
        "in_daemon_thread(lambda: encoder.encode_pages(pages()))\nraise ValueError('own')",
        1,
    ),
    "a handled timeout": (
        """
import asyncio

async def main():
    task = asyncio.create_task(encoder.aencode_pages(pages()))
    while not working.is_set():
        await asyncio.sleep(0)
    try:
        await asyncio.wait_for(task, 0)
    except TimeoutError:
        print("handled")

asyncio.run(main())
""",
        0,
    ),
    "a future that nobody waits for": (
        """
from vdr_integrations.encoders.runtime.model_worker import ModelWorker
started = threading.Event()

def run(items):
    started.set()
    return [encoder.encode_queries(["what"]) for _ in range(100_000)]

# As on a GPU, where the thread stays.
worker = ModelWorker(
    run, group=type, cost=lambda _: 1, budget=lambda _: 1, name="busy", device="cuda"
)
worker.submit([1])
started.wait()
sys.exit(5)
""",
        5,
    ),
    "an idle thread of a GPU": (
        """
from vdr_integrations.encoders.runtime.model_worker import ModelWorker
worker = ModelWorker(
    lambda items: [np.zeros(2, np.float32)] * len(items),
    group=type, cost=lambda _: 1, budget=lambda _: 1, name="idle", device="cuda",
)
worker.submit([1]).result()
sys.exit(5)
""",
        5,
    ),
    "threads that score": (
        """
from vdr_integrations.index.scoring.page_scorer import score_pages
rows = np.ones((4000, 64), np.float32)

def score(scorer, position):
    working.set()
    return float(scorer.products(rows).sum())

in_daemon_thread(lambda: score_pages(rows[:32], [4000] * 1_000_000, score))
sys.exit(6)
""",
        6,
    ),
    "a model that is loaded": (
        """
from vdr_integrations.encoders.runtime.torch_threads import call_with_torch

def load():
    working.set()
    while True:
        load_encoder("nano", device="cpu", dtype="bfloat16")
        load_encoder("nano", device="cpu", dtype="float32")

in_daemon_thread(load)
sys.exit(4)
""",
        4,
    ),
    "a forked child": (
        """
import os
thread = threading.Thread(target=lambda: encoder.encode_pages(pages()), daemon=True)
thread.start()
working.wait()
child = os.fork()
if child == 0:
    working = threading.Event()
    in_daemon_thread(lambda: encoder.encode_pages(pages()))
    sys.exit(3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""",
        3,
    ),
    "a thread that is joined at the end": (
        """
for _ in range(2):
    threads.append(threading.Thread(target=lambda: encoder.encode_pages(pages()), daemon=True))
    threads[-1].start()
working.wait()
sys.exit(2)
""",
        2,
    ),
}


def ends_by_itself(ended: subprocess.CompletedProcess[str], code: int) -> None:
    """It has this exit code, and refused what was to be computed at the end."""
    assert ended.returncode == code, ended.stderr
    assert "terminate" not in ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("EncodingError: the Python process is ending")
    assert ("Traceback" in ended.stderr) == (code == 1), ended.stderr


def test_a_process_that_no_other_prepared_ends_in_the_same_way() -> None:
    """In it, what torch does at the end is registered by the script's own imports."""
    script, code = ENDS["sys.exit beside a daemon thread"]
    ended = subprocess.run(
        [sys.executable, "-c", AT_THE_END + BUSY + script],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    ends_by_itself(ended, code)


@pytest.mark.parametrize(
    "name", [name for name in ENDS if name != "a forked child" or hasattr(os, "fork")]
)
def test_the_exit_code_is_that_of_the_script(prepared_python: PreparedPython, name: str) -> None:
    script, code = ENDS[name]
    ended = prepared_python.run("-c", AT_THE_END + BUSY + script)
    ends_by_itself(ended, code)


def test_an_interrupted_end_is_an_end(prepared_python: PreparedPython) -> None:
    script = "in_daemon_thread(lambda: encoder.encode_pages(pages()))\nprint('on', flush=True)\n"
    with prepared_python.start(
        *("-c", f"{AT_THE_END}{BUSY}{script}threading.Event().wait()"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        for _ in range(3):
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=HANG_S)
    assert process.returncode in {130, -signal.SIGINT, 1}, said
    assert "terminate" not in said
