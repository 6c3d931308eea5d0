"""A synchronisation of real pages with a real encoder is killed half-way, and run again."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.index.documents import write_pdf
from tests.tiny_colqwen2 import write_base

from vdr_integrations import MultiVectorEncoder, load_encoder
from vdr_integrations.index import LateInteractionIndex, Manifest, sync_index

if TYPE_CHECKING:
    from pathlib import Path

    from tests.prepared.python import PreparedPython

DOCUMENTS = 30
PAGES = 3

AHEAD = 5

# Prints the number of finished documents after each one, and stops at a given number, so that it is
# not finished even if it is killed late.
WRITER = """
import sys
from vdr_integrations import load_encoder
from vdr_integrations.index import LateInteractionIndex, sync_index

model, path, folder, last = sys.argv[1:]

def say(at):
    print(at.documents_done, flush=True)
    if at.documents_done == int(last):
        sys.stdin.read()

encoder = load_encoder(model, device="cpu", max_visual_tokens=16)
with LateInteractionIndex.open(path) as index:
    sync_index(index, encoder, [folder], batch_pages=1, on_progress=say)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_synchronisation_that_is_killed_is_completed_by_the_next_one(
    prepared_python: PreparedPython, tmp_path: Path
) -> None:
    model, folder, path = tmp_path / "colqwen2-base", tmp_path / "docs", tmp_path / "index"
    write_base(model)
    for number in range(DOCUMENTS):
        write_pdf(folder / f"{number:02}.pdf", [f"{number} {page}" for page in range(PAGES)])
    encoder = load_encoder(str(model), device="cpu", max_visual_tokens=16)
    assert isinstance(encoder, MultiVectorEncoder)
    LateInteractionIndex.create(path, manifest=Manifest.of(encoder)).close()
    chance, held = random.Random(0), 0
    for _ in range(3):
        acknowledged = _kill_after(
            prepared_python, held + 3, chance, [str(model), str(path), str(folder)]
        )
        with LateInteractionIndex.open(path) as index:
            held = len(index.documents())
            assert acknowledged <= held < DOCUMENTS
            assert index.count_pages() == PAGES * held
    with LateInteractionIndex.open(path) as index:
        report = sync_index(index, encoder, [folder])
        assert (len(report.unchanged), len(report.added)) == (held, DOCUMENTS - held)
        assert index.count_pages() == PAGES * DOCUMENTS
        assert sync_index(index, encoder, [folder]).pages_encoded == 0


def _kill_after(
    python: PreparedPython, documents: int, chance: random.Random, arguments: list[str]
) -> int:
    """Kill the writer a moment after this number of documents; returns the last printed number."""
    with python.start(
        *("-c", WRITER, *arguments, str(documents + AHEAD)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= documents:
                break
        deadline = time.monotonic() + chance.uniform(0.0, 0.03)
        while time.monotonic() < deadline:
            pass
        writer.send_signal(signal.SIGKILL)
        said = writer.stdout.read().split("\n")
    return max([documents, *(int(line) for line in said[:-1])])
