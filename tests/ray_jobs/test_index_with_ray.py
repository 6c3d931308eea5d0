"""Indexing with Ray gives what one process gives."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.prepared.fresh_python import FreshPython
from tests.ray_jobs.ray_runs import (
    DENSE,
    LATE,
    VISUAL_TOKENS,
    actors,
    assert_same,
    committed,
    wait_until,
    write_documents,
)
from tests.serving import serving_process
from typer.testing import CliRunner

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PageSearcher, PairedEncoder
from vdr_integrations.cli.app import app
from vdr_integrations.encoders import load_encoder
from vdr_integrations.errors import IndexFormatError, IndexMismatchError, OptionError
from vdr_integrations.index import Compression, DenseIndex, open_index, sync_index
from vdr_integrations.ray_jobs import index_with_ray

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = "Report 3"


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    write_documents(tmp_path / "documents", 5)
    return tmp_path / "documents"


def hits(index: Path | list[Path]) -> list[tuple[str, int]]:
    with PageSearcher(index) as searcher:
        found = searcher.search(QUESTION, k=4)
        return [(hit.source, hit.page_number) for hit in found]


def test_the_index_is_that_of_one_process_of_two_devices_and_of_a_server(
    documents: Path, tmp_path: Path
) -> None:
    encoder = DenseEncoder.load("nano", device="cpu", max_visual_tokens=VISUAL_TOKENS)
    with DenseIndex.create(tmp_path / "one", encoder=encoder) as index:
        sync_index(index, encoder, [documents])
    with DenseIndex.create(tmp_path / "two-devices", encoder=encoder) as index:
        sync_index(index, encoder, [documents], devices=["cpu", "cpu"])
    with serving_process(FreshPython(), "--model", "nano", "--device", "cpu", "--port", "0") as (
        _,
        address,
    ):
        served = load_encoder(address, max_visual_tokens=VISUAL_TOKENS)
        assert isinstance(served, DenseEncoder)
        with DenseIndex.create(tmp_path / "served", encoder=served) as index:
            sync_index(index, served, [documents])
    report = index_with_ray(tmp_path / "ray", [documents], encoder=DENSE, encoders=2, shards=3)
    assert len(report.added) == 5
    assert report.pages_encoded == 15
    assert report.troubles == []
    with open_index(tmp_path / "one") as wanted:
        for name in ("two-devices", "served", "ray"):
            with open_index(tmp_path / name) as found:
                assert_same(found, wanted)
    assert sum(committed(tmp_path / "ray")) == 5
    assert hits(tmp_path / "ray") == hits(tmp_path / "one")


def test_late_interaction_with_all_its_options_is_that_of_one_process(
    documents: Path, tmp_path: Path
) -> None:
    compression = Compression(vectors="int8", token_pooling=2)
    recall = replace(DENSE, dimension=256)
    one = PageSearcher(tmp_path / "one", encoder=LATE, recall=recall)
    with one:
        index = one.create(compression=compression, question_bank=["pancakes", "a report"])
        pair = one.page_encoder
        assert isinstance(pair, PairedEncoder)
        sync_index(index, pair, [documents])
    index_with_ray(
        tmp_path / "ray",
        [documents],
        encoder=LATE,
        late_interaction=True,
        compression=compression,
        question_bank=["pancakes", "a report"],
        recall=recall,
        encoders=2,
        shards=2,
    )
    with open_index(tmp_path / "one") as wanted, open_index(tmp_path / "ray") as found:
        assert found.late is not None
        assert wanted.late is not None
        assert found.late.correction == wanted.late.correction
        assert found.compression == wanted.compression
        assert found.prompts == wanted.prompts
        assert_same(found, wanted)


def test_the_next_run_does_what_changed_and_tells_it(documents: Path, tmp_path: Path) -> None:
    root = tmp_path / "shards"
    (documents / "torn.pdf").write_bytes(b"%PDF-1.7 torn")
    first = index_with_ray(root, [documents], encoder=DENSE, encoders=2, shards=2)
    assert len(first.added) == 5
    assert [one.source for one in first.failed] == [(documents / "torn.pdf").as_posix()]
    (documents / "report-0.pdf").unlink()
    write_documents(documents, 2, pages=2)
    (documents / "report-0.pdf").unlink()
    (documents / "torn.pdf").unlink()
    write_documents(documents / "more", 1)
    second = index_with_ray(root, [documents], encoders=1)
    assert second.added == [(documents / "more" / "report-0.pdf").as_posix()]
    assert second.changed == [(documents / "report-1.pdf").as_posix()]
    assert second.removed == [(documents / "report-0.pdf").as_posix()]
    assert len(second.unchanged) == 3
    third = index_with_ray(root, [documents], encoders=1)
    assert len(third.unchanged) == 5
    assert third.pages_encoded == 0


def test_what_would_be_another_set_is_refused(documents: Path, tmp_path: Path) -> None:
    root = tmp_path / "shards"
    index_with_ray(root, [documents / "report-0.pdf"], encoder=DENSE, encoders=1, shards=2)
    with pytest.raises(OptionError, match="has 2 shards, found shards=3"):
        index_with_ray(root, [documents], encoder=DENSE, encoders=1, shards=3)
    with pytest.raises(IndexMismatchError, match="cannot be used with nano"):
        index_with_ray(root, [documents], encoder=replace(DENSE, max_visual_tokens=64), encoders=1)
    with pytest.raises(OptionError, match="leave late_interaction out"):
        index_with_ray(root, [documents], encoder=LATE, late_interaction=True, encoders=1)
    with pytest.raises(OptionError, match="needed: 40 encoders"):
        index_with_ray(root, [documents], encoder=DENSE, encoders=40)
    with pytest.raises(OptionError, match="no machine of the Ray cluster has more than 4"):
        index_with_ray(root, [documents], encoder=DENSE, encoders=1, render_workers=5)
    with pytest.raises(IndexFormatError, match="new or empty folder"):
        index_with_ray(documents, [documents], encoder=DENSE, encoders=1)
    assert sum(committed(root)) == 1


def test_what_is_refused_leaves_no_set(documents: Path, tmp_path: Path) -> None:
    root = tmp_path / "shards"
    with pytest.raises(OptionError, match=r"nano-colqwen2 .* add late_interaction"):
        index_with_ray(root, [documents], encoder=LATE, encoders=1)
    with pytest.raises(OptionError, match=r"nano gives one vector a page.* leave late_interaction"):
        index_with_ray(root, [documents], encoder=DENSE, late_interaction=True, encoders=1)
    with pytest.raises(OptionError, match="recall: nano-colqwen2"):
        index_with_ray(
            root, [documents], encoder=LATE, late_interaction=True, recall=LATE, encoders=1
        )
    assert not root.exists()


def test_nothing_of_a_run_stays_in_the_cluster(documents: Path, tmp_path: Path) -> None:
    kinds = ("EncodingActor", "ShardWorker", "ShardTries")
    gc.collect()
    wait_until(lambda: not any(map(actors, kinds)), what="the end of the runs before")
    gc.disable()
    try:
        index_with_ray(tmp_path / "shards", str(documents), encoder=DENSE, encoders=1)
        wait_until(lambda: not any(map(actors, kinds)), what="the end of the actors")
    finally:
        gc.enable()
    assert sum(committed(tmp_path / "shards")) == 5


def test_a_model_that_is_not_there_is_named(documents: Path, tmp_path: Path) -> None:
    nowhere = replace(DENSE, model=str(tmp_path / "vdr-2b-multi-v1"))
    with pytest.raises(Exception, match="an encoding actor"):
        index_with_ray(tmp_path / "shards", [documents], encoder=nowhere, encoders=1)


def test_the_command_indexes_searches_and_counts_as_without_ray(
    documents: Path, tmp_path: Path
) -> None:
    root = tmp_path / "shards"
    (documents / "torn.pdf").write_bytes(b"%PDF-1.7 torn")

    def vdr(*arguments: object, code: int = 0) -> str:
        ended = CliRunner().invoke(app, [str(one) for one in arguments])
        assert ended.exit_code == code, ended.output
        return ended.stdout

    options = ("--model", "nano", "--device", "cpu", "--max-visual-tokens", "128")
    said = vdr(
        "index", documents, "--index", root, *options, "--ray", "auto", "--encoders", 2, "--json",
        code=3,
    )  # fmt: skip
    found = json.loads(said)
    assert len(found["added"]) == 5
    assert [one["source"] for one in found["failed"]] == [(documents / "torn.pdf").as_posix()]
    assert "report-3.pdf" in vdr("search", QUESTION, "--index", root, "--device", "cpu")
    refused = CliRunner().invoke(app, ["index", str(documents), "--index", str(root)])
    assert "add --ray" in refused.stderr
    vdr("verify", "--index", root)


def test_encoders_of_both_kinds_are_those_of_the_index(documents: Path, tmp_path: Path) -> None:
    index_with_ray(tmp_path / "late", [documents], encoder=LATE, late_interaction=True, encoders=1)
    with PageSearcher(tmp_path / "late") as searcher:
        assert isinstance(searcher.encoder, MultiVectorEncoder)
        assert len(searcher.search(QUESTION, k=2)) == 2
