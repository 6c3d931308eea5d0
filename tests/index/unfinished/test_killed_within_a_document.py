"""A process that indexes one long document is killed at any page, and the next one goes on."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.index.documents import write_pdf
from tests.patience import HANG_S

from vdr_integrations import DenseEncoder
from vdr_integrations.index import DenseIndex, UnfinishedPages, sync_index

if TYPE_CHECKING:
    from pathlib import Path

    from tests.prepared.python import PreparedPython

PAGES = 40

# Prints how many pages are done after each one, and stops at a given number, so that the document
# is not complete even if the process is killed late.
WRITER = """
import sys
from vdr_integrations import DenseEncoder
from vdr_integrations.index import DenseIndex, sync_index

model, path, pdf, last = sys.argv[1:]

def say(at):
    print(at.pages_done, flush=True)
    if at.pages_done == int(last):
        sys.stdin.read()

encoder = DenseEncoder.load(model, device="cpu", max_visual_tokens=16, dimension=32)
with DenseIndex.open(path) as index:
    sync_index(index, encoder, [pdf], batch_pages=1, on_progress=say)
"""


def ended_at(
    python: PreparedPython, page: int, by: signal.Signals, chance: random.Random, *arguments: str
) -> int:
    """End the process a moment after this page; returns how many pages it said were done."""
    with python.start(
        *("-c", WRITER, *arguments, str(PAGES - 1)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= page:
                break
        deadline = time.monotonic() + chance.uniform(0.0, 0.03)
        while time.monotonic() < deadline:
            pass
        writer.send_signal(by)
        said = writer.stdout.read().split("\n")
        writer.wait(HANG_S)
    return max([page, *(int(line) for line in said[:-1])])


def contents(index: DenseIndex) -> list[object]:
    return [
        (repr(replace(page, dense=None)), None if page.dense is None else page.dense.tobytes())
        for page in index.get(index.page_ids(), with_vectors=True)
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("by", ["SIGKILL", "SIGINT"])
@pytest.mark.parametrize(
    "kills", [2, pytest.param(12, marks=pytest.mark.slow)], ids=["twice", "often"]
)
def test_a_process_that_ends_at_any_page_keeps_what_it_said_was_done(
    prepared_python: PreparedPython,
    tmp_path: Path,
    tiny_checkpoint: Path,
    by: str,
    kills: int,
) -> None:
    pdf = write_pdf(tmp_path / "a.pdf", [f"page {n}" for n in range(PAGES)])
    encoder = DenseEncoder.load(
        str(tiny_checkpoint), device="cpu", max_visual_tokens=16, dimension=32
    )
    with DenseIndex.create(tmp_path / "whole", encoder=encoder) as whole:
        sync_index(whole, encoder, [pdf])
        right = contents(whole)
    path = tmp_path / "index"
    DenseIndex.create(path, encoder=encoder).close()
    chance, kept = random.Random(kills), 0
    for number in range(1, kills + 1):
        page = chance.randrange(kept, max(kept + 1, PAGES * number // kills))
        arguments = (str(tiny_checkpoint), str(path), str(pdf))
        said = ended_at(prepared_python, page, signal.Signals[by], chance, *arguments)
        with DenseIndex.open(path) as index:
            found = index.unfinished.kept(read_all=True)
            assert index.documents() == []
        assert max(kept, said) <= found.pages < PAGES
        assert found.documents == (found.pages > 0)
        kept = found.pages
    with DenseIndex.open(path) as index:
        report = sync_index(index, encoder, [pdf])
        assert (report.pages_kept, report.pages_encoded) == (kept, PAGES - kept)
        assert contents(index) == right
        assert index.unfinished.kept() == UnfinishedPages(0, 0)
