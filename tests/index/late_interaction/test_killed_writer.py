from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.index.late_interaction.pages import MANIFEST, document, page_records, unit_rows

from vdr_integrations.errors import IndexStoreError
from vdr_integrations.index import LateInteractionIndex

if TYPE_CHECKING:
    from pathlib import Path

PAGES = 12
TOKENS = 300

# Adds the documents 0..4 again and again, each time with vectors that all equal the round's
# number; says so after each commit.
WRITER = f"""
import itertools, sys
import numpy as np
from vdr_integrations.index import DocumentRecord, FileState, LateInteractionIndex, PageRecord
from vdr_integrations.index.late_interaction import writing

writing._BATCH_NUMBERS = 1  # so that each page is a write of its own
state = FileState("0" * 64, 1, 2, 3)
pages = [PageRecord(n, str(n), "vdr-page:" + "0" * 64) for n in range(1, {PAGES} + 1)]
with LateInteractionIndex.open(sys.argv[1]) as index:
    print(index._engine._process.pid, flush=True)
    for number in itertools.count(int(sys.argv[2])):
        vectors = np.zeros(({TOKENS}, 16), np.float32)
        vectors[:, number % 16] = 1
        record = DocumentRecord(f"{{number % 5}}.pdf", state, {PAGES})
        index.add_document(record, pages, [vectors] * {PAGES})
        print(number, flush=True)
"""


def write_and_kill(
    path: Path, *, first: int, commits: int, delay_s: float, engine_too: bool
) -> int:
    """Start a writer, kill it that long after so many commits; its last commit.

    Its engine is killed in the same moment, or ends when it finds itself alone.
    """
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        engine_pid = int(writer.stdout.readline())

        def kill() -> None:
            if engine_too:
                os.kill(engine_pid, signal.SIGKILL)
            writer.send_signal(signal.SIGKILL)

        for number in range(first, first + commits):
            assert int(writer.stdout.readline()) == number
        timer = threading.Timer(delay_s, kill)
        timer.start()
        said = writer.stdout.read().split("\n")
        timer.join()
    # A line that was cut off is no acknowledgement.
    return int(said[-2]) if len(said) > 1 else first + commits - 1


def check_whole(path: Path, *, acknowledged: int) -> None:
    """All acknowledged documents are there; each is of one round, and whole."""
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
            # The round after the last acknowledged one may have been committed unheard.
            assert newest is None or rounds <= {newest % 16, (newest + 5) % 16}
        assert len(index.search(query, k=100)) == PAGES * len(documents)
        assert index.clean_up() == 0


def kill_again_and_again(path: Path, *, times: int) -> None:
    LateInteractionIndex.create(path, manifest=MANIFEST).close()
    chance, acknowledged = random.Random(times), -1
    for number in range(times):
        acknowledged = write_and_kill(
            path,
            first=acknowledged + 1,
            commits=number % 4,
            delay_s=chance.uniform(0.0, 0.1),
            engine_too=number % 2 == 0,
        )
        check_whole(path, acknowledged=acknowledged)
    with LateInteractionIndex.open(path) as index:
        index.add_document(document("0.pdf"), page_records(1), [unit_rows(8)])
        assert index.count_pages({"source": "0.pdf"}) == 1


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


def test_a_writer_killed_at_any_moment_leaves_whole_documents(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "index", times=10)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_writer_killed_a_hundred_times_leaves_whole_documents(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "index", times=100)


def test_an_engine_that_is_killed_is_named_and_the_index_opens_again(tmp_path: Path) -> None:
    with LateInteractionIndex.create(tmp_path / "index", manifest=MANIFEST) as index:
        index.add_document(document("a.pdf"), page_records(1), [unit_rows(8)])
        engine: Any = index._engine
        os.kill(engine._process.pid, signal.SIGKILL)
        with pytest.raises(IndexStoreError, match="its process ended"):
            index.search(unit_rows(2))
    check = LateInteractionIndex.open(tmp_path / "index")
    assert len(check.search(unit_rows(2))) == 1
    check.close()
