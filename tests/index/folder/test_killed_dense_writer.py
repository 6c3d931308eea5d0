from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.patience import HANG_S

from vdr_integrations.index import DenseIndex, Manifest

if TYPE_CHECKING:
    from pathlib import Path

PAGES = 300
DIMENSION = 64

# Adds documents for ever. All vectors of a document equal its number. Prints each commit.
WRITER = f"""
import itertools, sys
import numpy as np
from vdr_integrations.index import DenseIndex, DocumentRecord, FileState, PageRecord

index = DenseIndex.open(sys.argv[1])
state = FileState("0" * 64, 1, 2, 3)
pages = [PageRecord(n, str(n), "vdr-page:" + "0" * 64, "x" * 500) for n in range(1, {PAGES} + 1)]
for number in itertools.count():
    vectors = np.zeros(({PAGES}, {DIMENSION}), np.float32)
    vectors[:, number % {DIMENSION}] = 1
    index.add_document(DocumentRecord(f"{{number % 5}}.pdf", state, {PAGES}), pages, vectors)
    print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("commits", [1, 4, 9])
def test_a_killed_writer_leaves_whole_documents_and_the_next_one_goes_on(
    tmp_path: Path, commits: int
) -> None:
    manifest = Manifest("f" * 64, "some/model", None, DIMENSION, 16)
    index = DenseIndex.create(tmp_path / "index", manifest=manifest)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(index.path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for number in range(commits):
            assert writer.stdout.readline() == f"{number}\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait(HANG_S)
    documents = index.documents()
    assert min(commits, 5) <= len(documents) <= 5
    assert index.count_pages() == PAGES * len(documents)
    query = np.full(DIMENSION, 1, np.float32)
    hits = index.search(query, k=PAGES * 5)
    assert len(hits) == PAGES * len(documents)
    assert index.remove_document("0.pdf")
    assert index.count_pages() == PAGES * (len(documents) - 1)
