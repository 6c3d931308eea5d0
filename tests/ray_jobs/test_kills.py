"""Workers and drivers that are killed: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest
import ray
from tests.ray_jobs.ray_runs import (
    DENSE,
    VISUAL_TOKENS,
    actors,
    assert_same,
    committed,
    kill_one,
    wait_until,
    write_documents,
)

from vdr_integrations import DenseEncoder
from vdr_integrations.index import DenseIndex, open_index, sync_index
from vdr_integrations.ray_jobs import index_with_ray

if TYPE_CHECKING:
    from pathlib import Path


def index_of_one_process(folder: Path, documents: Path) -> DenseIndex:
    encoder = DenseEncoder.load("nano", device="cpu", max_visual_tokens=VISUAL_TOKENS)
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
        open_index(root) as found,
        index_of_one_process(tmp_path / "one", documents) as wanted,
    ):
        assert_same(found, wanted)
    if kind == "EncodingActor":
        assert any("was lost" in trouble for trouble in report.troubles)
    else:  # what the first one had done is in no report
        assert report.pages_encoded < 64


DRIVER = """
import sys
from tests.ray_jobs.ray_runs import DENSE
from vdr_integrations.ray_jobs import index_with_ray

index_with_ray(sys.argv[1], [sys.argv[2]], encoder=DENSE, encoders=2, shards=2, address=sys.argv[3])
"""


def test_a_killed_driver_ends_its_actors_and_the_next_run_goes_on(tmp_path: Path) -> None:
    documents, root = tmp_path / "documents", tmp_path / "shards"
    write_documents(documents, 16, pages=4)
    before = {one.pid for one in actors("EncodingActor") + actors("ShardWorker")}
    address = ray.get_runtime_context().gcs_address
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, root, documents, address])
    with driver:
        wait_until(
            lambda: driver.poll() is not None or all(committed(root)), what="the first documents"
        )
        assert driver.poll() is None
        driver.kill()
    wait_until(
        lambda: {one.pid for one in actors("EncodingActor") + actors("ShardWorker")} <= before,
        what="the end of the actors",
    )
    kept = committed(root)
    assert 0 < sum(kept) < 16
    report = index_with_ray(root, [documents], encoder=DENSE, encoders=2)
    assert len(report.unchanged) == sum(kept)
    assert len(report.added) == 16 - sum(kept)
    assert report.pages_encoded + report.pages_kept == 4 * len(report.added)
    with (
        open_index(root) as found,
        index_of_one_process(tmp_path / "one", documents) as wanted,
    ):
        assert_same(found, wanted)


def test_the_only_encoder_is_killed_and_comes_back(tmp_path: Path) -> None:
    documents, root = tmp_path / "documents", tmp_path / "shards"
    write_documents(documents, 12, pages=4)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(index_with_ray, root, [documents], encoder=DENSE, encoders=1, shards=2)
        for documents_before in (1, 4):
            wait_until(
                lambda least=documents_before: run.done() or sum(committed(root)) >= least,
                what="documents",
            )
            assert not run.done() or run.result()
            kill_one("EncodingActor")
        report = run.result()
    assert len(report.added) == 12
    assert report.failed == []
    assert sum(committed(root)) == 12


def test_an_encoder_that_is_killed_while_it_comes_back_is_waited_for(tmp_path: Path) -> None:
    documents, root = tmp_path / "documents", tmp_path / "shards"
    write_documents(documents, 12, pages=4)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(index_with_ray, root, [documents], encoder=DENSE, encoders=1, shards=2)
        wait_until(lambda: run.done() or any(committed(root)), what="the first document")
        assert not run.done() or run.result()
        killed = kill_one("EncodingActor")
        wait_until(lambda: run.done() or loads_a_model(besides=killed), what="the restart")
        assert not run.done() or run.result()
        kill_one("EncodingActor")
        report = run.result()
    assert len(report.added) == 12
    assert report.failed == []


def loads_a_model(*, besides: int) -> bool:
    """Whether a restarted encoder does what was asked while it was not there yet."""
    try:
        return any(
            "libtorch" in mapped.path
            for one in actors("EncodingActor")
            if one.pid != besides
            for mapped in one.memory_maps()
        )
    except psutil.Error:
        return False
