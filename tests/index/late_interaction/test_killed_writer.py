from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.index.late_interaction.pages import MANIFEST, document, page_records, unit_rows

from vdr_integrations.index import LateInteractionIndex
from vdr_integrations.index.verify import verify_index

if TYPE_CHECKING:
    from pathlib import Path

    from tests.prepared.python import PreparedPython

PAGES = 12
TOKENS = 300

# Adds the documents 0..4 again and again. All vectors equal the number of the round. Prints each
# commit.
WRITER = f"""
import itertools, sys
import numpy as np
from vdr_integrations.index import DocumentRecord, FileState, LateInteractionIndex, PageRecord
state = FileState("0" * 64, 1, 2, 3)
pages = [PageRecord(n, str(n), "vdr-page:" + "0" * 64) for n in range(1, {PAGES} + 1)]
with LateInteractionIndex.open(sys.argv[1]) as index:
    print("ready", flush=True)
    for number in itertools.count(int(sys.argv[2])):
        vectors = np.zeros(({TOKENS}, 16), np.float32)
        vectors[:, number % 16] = 1
        record = DocumentRecord(f"{{number % 5}}.pdf", state, {PAGES})
        index.add_document(record, pages, [vectors] * {PAGES})
        print(number, flush=True)
"""


def write_and_kill(
    python: PreparedPython, path: Path, *, first: int, commits: int, delay_s: float
) -> int:
    """Start a writer, kill it some time after a number of commits; returns its last commit."""
    with python.start(
        *("-c", WRITER, str(path), str(first)), stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        for number in range(first, first + commits):
            assert int(writer.stdout.readline()) == number
        timer = threading.Timer(delay_s, writer.send_signal, (signal.SIGKILL,))
        timer.start()
        said = writer.stdout.read().split("\n")
        timer.join()
    # An incomplete line is not an acknowledgement.
    return int(said[-2]) if len(said) > 1 else first + commits - 1


def check_whole(path: Path, *, acknowledged: int) -> None:
    """All acknowledged documents are there; each is complete and of one round."""
    with LateInteractionIndex.open(path) as index:
        documents = index.documents()
        assert len(documents) >= min(acknowledged + 1, 5)
        assert index.count_pages() == PAGES * len(documents)
        query = np.eye(16, dtype=np.float32)
        for record in documents:
            ids = index.page_ids({"source": record.source})
            pages = index.get(ids, with_vectors=True)
            assert [page.page_number for page in pages] == list(range(1, PAGES + 1))
            rounds = {int(page.vectors[0].argmax()) for page in pages if page.vectors is not None}
            assert len(rounds) == 1
            newest = max(
                (n for n in range(acknowledged + 1) if f"{n % 5}.pdf" == record.source),
                default=None,
            )
            # The round after the last acknowledged one may have been committed too.
            assert newest is None or rounds <= {newest % 16, (newest + 5) % 16}
        assert len(index.search(query, k=100)) == PAGES * len(documents)
        assert index.clean_up() == 0
        assert verify_index(index).problems == ()


def kill_again_and_again(python: PreparedPython, path: Path, *, times: int) -> None:
    LateInteractionIndex.create(path, manifest=MANIFEST).close()
    chance, acknowledged = random.Random(times), -1
    for number in range(times):
        acknowledged = write_and_kill(
            python,
            path,
            first=acknowledged + 1,
            commits=number % 4,
            delay_s=chance.uniform(0.0, 0.1),
        )
        check_whole(path, acknowledged=acknowledged)
    with LateInteractionIndex.open(path) as index:
        index.add_document(document("0.pdf"), page_records(1), [unit_rows(8)])
        assert index.count_pages({"source": "0.pdf"}) == 1


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


def test_a_writer_killed_at_any_moment_leaves_whole_documents(
    prepared_python: PreparedPython, tmp_path: Path
) -> None:
    kill_again_and_again(prepared_python, tmp_path / "index", times=10)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_writer_killed_two_hundred_times_leaves_whole_documents(
    prepared_python: PreparedPython, tmp_path: Path
) -> None:
    kill_again_and_again(prepared_python, tmp_path / "index", times=200)
