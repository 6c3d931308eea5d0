"""The dry run of benchmarks.gpu: every section, with a tiny model on a CPU. Nothing is timed."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import Mock, call

import pytest
import torch
from benchmarks.full_size import TEXT, VISION
from benchmarks.gpu import memory, shortage
from benchmarks.gpu.clock import Clock
from benchmarks.gpu.options import SECTIONS
from benchmarks.gpu.report import Report
from benchmarks.gpu.work_of import page_flops
from benchmarks.gpu_packages import pack, unpack
from benchmarks.work_counter import counted, full_size_backbone, page_of
from transformers import Qwen2VLConfig

if TYPE_CHECKING:
    from tests.prepared.python import PreparedPython

LONGEST_S = 900  # there may be much else to do
pytestmark = pytest.mark.timeout(LONGEST_S)

ROOT = Path(__file__).resolve().parent.parent


class Run(NamedTuple):
    """What a run left."""

    code: int
    text: str
    errors: str
    json: dict[str, Any]

    def rows(self, section: str) -> list[dict[str, Any]]:
        return self.json["sections"][section]["rows"]


def run(python: PreparedPython, file: Path, *arguments: str) -> Run:
    done = python.run(
        *("-m", "benchmarks.gpu", "--device", "cpu", "--tiny", "--json", str(file), *arguments),
        cwd=ROOT,
        # Threads would wait for one another where cores are shared: the model is tiny.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=LONGEST_S,
    )
    return Run(done.returncode, done.stdout, done.stderr, json.loads(file.read_text("utf-8")))


@pytest.fixture(scope="module")
def dry(tmp_path_factory: pytest.TempPathFactory, prepared_python: PreparedPython) -> Run:
    return run(prepared_python, tmp_path_factory.mktemp("gpu") / "found.json")


def test_every_section_runs_and_is_printed_and_saved(dry: Run) -> None:
    sections = dry.json["sections"]
    assert list(sections) == list(SECTIONS)
    for section in sections.values():
        assert section["error"] is None, section["error"]
        assert section["skipped"] is None, section["skipped"]
        assert section["rows"]
        assert f"== {section['title']}" in dry.text
    assert dry.code == 0, dry.errors
    assert "torch" in dry.json["facts"]["machine"]


def test_batches_that_ran_are_those_of_the_model(dry: Run) -> None:
    rows = [row for row in dry.rows("pages") if row["way"] == "ours"]
    assert all(sum(row["batches_that_ran"]) == row["pages"] for row in rows)
    assert all(max(row["batches_that_ran"]) <= 3 for row in rows)  # the largest that it is given
    assert {row["way"] for row in dry.rows("pages")} == {"ours", "card"}
    assert all(row["tokens_a_page"] > row["visual_tokens"] == 6 for row in rows)


def test_vectors_are_the_cards(dry: Run) -> None:
    dense = dry.rows("fidelity")
    late = [row for row in dry.rows("late") if "cosine_least" in row]
    assert len(dense) == 6
    assert len(late) == 2
    assert min(row["cosine_least"] for row in dense + late) >= 0.999


def test_a_shortage_of_memory_ends_in_the_same_vectors_from_smaller_batches(dry: Run) -> None:
    calm, short, card = dry.rows("shortage")
    assert short["did_not_fit"]
    assert max(short["batches_that_ran"]) < max(calm["batches_that_ran"])
    assert sum(short["batches_that_ran"]) == sum(calm["batches_that_ran"])
    assert short["ends_in"] == "the same vectors"
    assert short["cosine_least"] >= 0.9999
    assert card["ends_in"] == "OutOfMemoryError"


def test_figures_are_shares_of_limits_that_were_measured(dry: Run) -> None:
    product, copy = dry.rows("ceilings")
    assert "TFLOP" in product["per_s"]
    assert "GB" in copy["per_s"]
    for section, share in {
        "pages": "share_of_product",
        "documents": "share_of_product",
        "queries": "share_of_reading",
    }.items():
        assert all(row[share] > 0 for row in dry.rows(section))


def test_the_other_process_measured_the_same_work(dry: Run) -> None:
    compared = [row["what"] for row in dry.rows("attention")]
    assert compared == ["2 pages", "3 pages", "4 pages", "1 queries", "3 queries"]


def test_sections_that_fail_leave_the_others_be(
    tmp_path: Path, prepared_python: PreparedPython
) -> None:
    checkpoint = tmp_path / "vdr-2b-multi-v1"
    checkpoint.mkdir()
    asked = ("--checkpoint", str(checkpoint), "--section", "setup", "ceilings", "attention")
    done = run(prepared_python, tmp_path / "found.json", *asked)
    sections = done.json["sections"]
    assert done.code == 1
    assert "CheckpointError" in sections["setup"]["error"]
    assert "FAILED: CheckpointError" in done.text
    assert sections["ceilings"]["error"] is None
    assert sections["attention"]["skipped"]


def test_a_run_that_is_cut_leaves_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results" / "found.json"
    table = Report(file, facts={"machine": "this"}).table("pages", "Pages")
    table.row(way="ours", pages=4, batches_that_ran=[4, 4, 1], share_of_product=0.5)
    assert json.loads(file.read_text("utf-8"))["sections"]["pages"]["rows"][0]["pages"] == 4
    assert capsys.readouterr().out == "machine: this\n"
    assert str(table).splitlines()[1:] == [
        "== Pages",
        "way   pages  batches that ran  share of product",
        "ours  4      4 x 2, 1          50.0%",
    ]


def test_work_is_repeated_until_its_time_is_over_and_done_once_at_least() -> None:
    assert len(Clock(0).seconds(lambda: None, at_most=9)) == 1
    assert len(Clock(1000).seconds(lambda: None, at_most=9)) == 9
    assert list(Clock(0).while_left("abc")) == ["a"]


def test_memory_is_the_drivers_less_that_of_others_and_of_other_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free_and_total = [(int(70e9), int(80e9)), (int(60e9), int(80e9))]
    said = SimpleNamespace(stdout="1000\n")  # MiB of others, as nvidia-smi says it
    asked = Mock(return_value=said)
    monkeypatch.setattr(subprocess, "run", asked)
    monkeypatch.setattr(torch.cuda, "synchronize", Mock())
    monkeypatch.setattr(torch.cuda, "mem_get_info", Mock(side_effect=free_and_total))
    taken = memory.DriverMemory(torch.device("cuda", 0))
    assert asked.call_args.args[0][0] == "nvidia-smi"
    others = 1000 * 2**20
    assert taken.taken() == 10e9 - others
    taken.hold("ours", int(5e9))
    taken.hold("card", int(4e9))
    assert taken.gigabytes("ours") == pytest.approx(80 - 60 - 4 - others / 1e9)


def test_the_forced_shortage_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    device, limit = torch.device("cuda", 0), Mock()
    monkeypatch.setattr(torch.cuda, "mem_get_info", Mock(return_value=(70e9, 80e9)))
    monkeypatch.setattr(torch.cuda, "memory_reserved", Mock(return_value=8e9))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", limit)
    bench: Any = SimpleNamespace(device=device, memory=Mock())
    with pytest.raises(ValueError, match="whatever"), shortage.limited(bench, 0.5, int(4e9)):
        raise ValueError("whatever")
    assert limit.call_args_list == [call(0.125, device), call(1.0, device)]


def test_the_work_of_a_page_is_what_the_pass_does() -> None:
    layers, depth = 3, 4
    config = Qwen2VLConfig(
        text_config=TEXT | {"num_hidden_layers": layers}, vision_config=VISION | {"depth": depth}
    )
    with full_size_backbone(layers=(layers, depth)) as (backbone, _):
        for rows, columns in ((32, 24), (16, 12)):
            done = counted(
                lambda rows=rows, columns=columns: backbone.page_states([page_of(rows, columns)])
            )
            reckoned = page_flops(
                config, visual_tokens=rows * columns, prompt_tokens=26, every_state=False
            )
            assert reckoned == pytest.approx(done.flops, rel=0.002)


def test_an_archive_holds_what_is_read_and_can_be_used_alone(tmp_path: Path) -> None:
    for name, files in {
        "needed-1.0": ["needed.py", "needed/tests/test_it.py", "needed.pyi"],
        "there_already-1.0": ["there.py"],
        "transformers-1.0": [
            "transformers/models/auto/a.py",
            "transformers/models/other/b.py",
            "transformers/models/__init__.py",
        ],
    }.items():
        with zipfile.ZipFile(tmp_path / f"{name}-py3-none-any.whl", "w") as wheel:
            for file in files:
                wheel.writestr(file, "")
    unpack(tmp_path.glob("*.whl"), tmp_path / "site", left_out={"there-already"})
    archive = tmp_path / "made" / "packages.tar.xz"
    pack(tmp_path / "site", archive)
    with tarfile.open(archive) as file:
        found = {Path(name).as_posix() for name in file.getnames() if name.endswith(".py")}
    assert found == {
        "needed.py",
        "transformers/models/auto/a.py",
        "transformers/models/__init__.py",
    }
