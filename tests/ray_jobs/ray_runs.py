"""What the tests with Ray share: documents, the index of one process, and processes to kill."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from tests.patience import HANG_S
from tests.pdfs import write_pdf

from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.errors import IndexStoreError
from vdr_integrations.index import open_index
from vdr_integrations.index.shards.shard_folders import shard_folders

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vdr_integrations.index.page_index import PageIndex

VISUAL_TOKENS = 128
SMALL_RAY: dict[str, Any] = {
    "num_cpus": 4,
    "include_dashboard": False,
    "object_store_memory": 200 * 2**20,
    "logging_level": "ERROR",
    "log_to_driver": False,
    "_node_ip_address": "127.0.0.1",
}
DENSE = EncoderOptions(model="nano", device="cpu", max_visual_tokens=VISUAL_TOKENS)
LATE = EncoderOptions(model="nano-colqwen2", device="cpu", max_visual_tokens=VISUAL_TOKENS)


def write_documents(folder: Path, count: int, *, pages: int = 3) -> list[Path]:
    """PDFs, no two with the same page."""
    return [
        write_pdf(folder / f"report-{n}.pdf", [f"Report {n}, page {p}" for p in range(pages)])
        for n in range(count)
    ]


def assert_same(found: PageIndex, wanted: PageIndex) -> None:
    """The same documents and pages, the same encoder, and vectors that are equal to 1e-5."""
    assert found.manifest == wanted.manifest
    assert found.dense_manifest == wanted.dense_manifest
    assert [one.source for one in found.documents()] == [one.source for one in wanted.documents()]
    assert [one.file.sha256 for one in found.documents()] == [
        one.file.sha256 for one in wanted.documents()
    ]
    assert found.page_ids() == wanted.page_ids()
    ids = wanted.page_ids()
    pairs = zip(found.get(ids, with_vectors=True), wanted.get(ids, with_vectors=True), strict=True)
    for mine, theirs in pairs:
        assert (mine.page_ref, mine.text) == (theirs.page_ref, theirs.text)
        for one, other in ((mine.vectors, theirs.vectors), (mine.dense, theirs.dense)):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                np.testing.assert_allclose(one, other, atol=1e-5)


def committed(root: Path) -> list[int]:
    """Number of documents that each shard has now; one 0 if there are no shards."""
    try:
        folders = shard_folders(root)
    except IndexStoreError:
        return [0]
    counts: list[int] = []
    for folder in folders:
        try:
            with open_index(folder) as index:
                counts.append(len(index.documents()))
        except IndexStoreError:
            counts.append(0)
    return counts


def wait_until(is_so: Callable[[], object], *, what: str) -> None:
    """Look again and again; a test that would hang fails."""
    deadline = time.monotonic() + HANG_S
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not happen in {HANG_S} s"
        time.sleep(0.05)


def actors(kind: str, *, of: int | None = None) -> list[psutil.Process]:
    """Processes of actors of a class, below a process; their titles name it."""
    found: list[psutil.Process] = []
    for one in psutil.Process(of or os.getpid()).children(recursive=True):
        try:
            title = one.cmdline()
        except psutil.Error:
            continue
        if title and title[0].startswith("ray::") and kind in title[0]:
            found.append(one)
    return found


def kill_one(kind: str) -> int:
    """Kill the first actor of a class, and return its number."""
    process = actors(kind)[0]
    os.kill(process.pid, signal.SIGKILL)
    return process.pid
