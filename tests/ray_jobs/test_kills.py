"""Workers and drivers that are killed: nothing is lost, and nothing is there twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.ray_jobs.ray_runs import (
    DENSE,
    assert_same,
    committed,
    kill_one,
    wait_until,
    write_documents,
)

from vdr_integrations import DenseEncoder
from vdr_integrations.index import DenseIndex, open_index, sync_index
from vdr_integrations.ray_jobs import index_with_ray, shard_folders

if TYPE_CHECKING:
    from pathlib import Path


def index_of_one_process(folder: Path, documents: Path) -> DenseIndex:
    encoder = DenseEncoder.load("nano", device="cpu", max_visual_tokens=DENSE.max_visual_tokens)
    index = DenseIndex.create(folder, encoder=encoder)
    sync_index(index, encoder, [documents])
    return index


@pytest.mark.parametrize("kind", ["EncodingActor", "ShardWorker"])
def test_a_killed_worker_costs_nothing_but_time(kind: str, tmp_path: Path) -> None:
    documents, root = tmp_path / "documents", tmp_path / "shards"
    write_documents(documents, 16, pages=4)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(index_with_ray, root, [documents], encoder=DENSE, encoders=2, shards=2)
        wait_until(lambda: run.done() or all(committed(root)), what="the first documents")
        assert not run.done() or run.result()
        kill_one(kind)
        report = run.result()
    assert len(report.added) == 16
    assert len(set(report.added)) == 16
    assert report.failed == report.removed == report.unchanged == []
    with (
        open_index(shard_folders(root)) as found,
        index_of_one_process(tmp_path / "one", documents) as wanted,
    ):
        assert_same(found, wanted)
    if kind == "EncodingActor":
        assert any("was lost" in trouble for trouble in report.troubles)
    else:  # what the first one had done is in no report
        assert report.pages_encoded < 64
