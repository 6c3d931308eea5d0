"""``vdr doctor``."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from safetensors import safe_open
from tests.cpus import AMX, SLOW

from vdr_integrations.cli.commands import doctor_diagnosis as doctor
from vdr_integrations.encoders.runtime import hardware
from vdr_integrations.encoders.runtime.hardware import Device
from vdr_integrations.pages import PageStore
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cpus import Cpu
    from typer.testing import Result

GB = 1_000_000_000


def facts(done: Result) -> dict[str, Any]:
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_it_says_what_is_installed_and_what_would_be_chosen(vdr: Callable[..., Result]) -> None:
    done = vdr("doctor", "--model", "nano", "--json")
    assert done.exit_code == 0
    found = facts(done)
    assert found["packages"]["torch"] == version("torch")
    assert found["packages"]["PyMuPDF"] == version("PyMuPDF")
    assert found["chosen"]["attention"] == "sdpa"
    assert found["chosen"]["device"] in {one["device"] for one in found["devices"]}
    assert found["devices"][-1]["memory_bytes"] > 0
    assert found["model"]["where"] == "bundled"
    assert found["problems"] == []
    text = vdr("doctor", "--model", "nano").stdout
    assert f"torch             {version('torch')}\n" in text
    assert "Folders\n" in text


def test_it_knows_the_size_of_each_known_model(vdr: Callable[..., Result]) -> None:
    model = facts(vdr("doctor", "--model", "Qwen/Qwen3-VL-Embedding-8B", "--json"))["model"]
    assert model["parameters"] == 8_144_793_840


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("vidore/colqwen2-v1.0", "Use a GPU with 8 GB or more, or"),
        ("vidore/colqwen2.5-v0.2", "Use a GPU, or"),
    ],
)
def test_only_the_2b_models_are_said_to_need_8_gb(
    vdr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, model: str, said: str
) -> None:
    AMX.pretend(monkeypatch)
    monkeypatch.setattr(hardware, "devices", lambda: [Device("cpu", "made up", 99 * GB, 98 * GB)])
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    found = facts(vdr("doctor", "--model", model, "--json", HF_HUB_OFFLINE="0"))
    assert any(said in one for one in found["advice"])


def test_it_counts_the_weights_of_a_folder(
    vdr: Callable[..., Result], tiny_checkpoint: Path
) -> None:
    with safe_open(tiny_checkpoint / "model.safetensors", framework="np") as file:
        counted = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118  # no mapping
    found = facts(vdr("doctor", "--model", tiny_checkpoint, "--json"))["model"]
    assert (found["where"], found["parameters"]) == ("folder", counted)


def test_a_model_that_is_not_here_is_a_problem_offline_and_advice_online(
    vdr: Callable[..., Result], tmp_path: Path
) -> None:
    offline = vdr("doctor", "--json", HF_HUB_OFFLINE="1")
    assert offline.exit_code == 1
    assert facts(offline)["environment"]["HF_HUB_OFFLINE"] is True
    assert "offline" in facts(offline)["problems"][0]
    online = facts(vdr("doctor", "--json", HF_HUB_OFFLINE="0"))
    assert any("downloaded" in one for one in online["advice"])


@pytest.mark.parametrize("name", ["someone/something", "no-such-folder"])
def test_an_unknown_model_is_a_problem(vdr: Callable[..., Result], name: str) -> None:
    done = vdr("doctor", "--model", name)
    assert done.exit_code == 1
    assert f"'{name}'" in done.stdout.partition("Problems")[2]


def test_a_folder_without_weights_is_a_problem(vdr: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "vdr-2b-v1").mkdir()
    done = vdr("doctor", "--model", tmp_path / "vdr-2b-v1")
    assert done.exit_code == 1
    assert "no weights" in done.stdout
    (tmp_path / "vdr-2b-v1" / "model.safetensors").write_bytes(b"<html>not found</html>")
    done = vdr("doctor", "--model", tmp_path / "vdr-2b-v1")
    assert done.exit_code == 1
    assert "not a complete safetensors file" in done.stdout


def test_tokens_are_never_shown(vdr: Callable[..., Result]) -> None:
    for options in ([], ["--json"]):
        done = vdr("doctor", "--model", "nano", *options, HF_TOKEN="hf_SECRET")
        assert "hf_SECRET" not in done.output
        assert "set" in done.stdout


def test_it_says_where_models_and_pages_are_kept(
    vdr: Callable[..., Result], tmp_path: Path
) -> None:
    store = tmp_path / "not" / "yet"
    found = facts(vdr("doctor", "--model", "nano", "--json", VDR_PAGE_STORE=str(store)))["caches"]
    assert found["page_store"]["path"] == str(store)
    assert found["page_store"]["exists"] is False
    assert found["page_store"]["free_bytes"] > 0
    assert {"hf_home", "hub"} <= found.keys()
    bucket = "s3://AKIA:secret@bucket/pages"  # is not asked: that may cost time and money
    for options in ([], ["--json"]):
        done = vdr("doctor", "--model", "nano", *options, VDR_PAGE_STORE=bucket)
        assert "secret" not in done.output
        assert done.stdout.count("s3://***@bucket/pages") == 2


@pytest.mark.parametrize(
    ("cpu", "total_and_free", "problems", "advice"),
    [
        (SLOW[0], (64 * GB, 60 * GB), 0, ""),
        (SLOW[0], (64 * GB, 8 * GB), 0, "are free now"),
        (SLOW[0], (8 * GB, 7 * GB), 0, "--dtype bfloat16 halves that"),
        (SLOW[0], (4 * GB, 3 * GB), 1, ""),
        (AMX, (8 * GB, 7 * GB), 0, ""),
        (AMX, (4 * GB, 3 * GB), 0, "--dtype int8 halves that"),
        (AMX, (2 * GB, 1 * GB), 1, ""),
    ],
)
def test_memory_is_compared_with_the_weights(
    monkeypatch: pytest.MonkeyPatch,
    cpu: Cpu,
    total_and_free: tuple[int, int],
    problems: int,
    advice: str,
) -> None:
    """Only the machine is made up; the model has 2.2 billion parameters."""
    cpu.pretend(monkeypatch)
    device = Device("cpu", "made up", *total_and_free)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(hardware, "devices", lambda: [device])
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    found = doctor.diagnose("llamaindex/vdr-2b-multi-v1")
    weights = "4.4 GB as bfloat16" if cpu is AMX else "8.8 GB as float32"
    about_memory = [one for one in found["advice"] if weights in one]
    too_much = [one for one in found["problems"] if weights in one]
    assert len(too_much) == problems
    assert all("use a larger device" in one for one in too_much)
    assert bool(about_memory) == bool(advice)
    assert advice in "".join(about_memory)


def test_a_folder_that_cannot_be_looked_at_is_advice_and_not_the_end(
    vdr: Callable[..., Result],
) -> None:
    found = facts(vdr("doctor", "--model", "nano", "--json", VDR_PAGE_STORE="/" + "x" * 5000))
    assert found["caches"]["page_store"]["exists"] is False
    assert any("page_store" in one for one in found["advice"])


def test_the_page_store_is_where_the_store_looks_for_it(
    vdr: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    PageStore("~/pages").put(PageImage(Image.new("RGB", (28, 28))))
    found = facts(vdr("doctor", "--model", "nano", "--json", VDR_PAGE_STORE="~/pages"))
    assert found["caches"]["page_store"]["path"] == str(tmp_path / "~" / "pages")
    assert found["caches"]["page_store"]["exists"] is True


def test_a_device_that_cannot_be_asked_is_a_problem_and_not_the_end(
    vdr: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> list[Device]:
        raise RuntimeError("CUDA error: unknown error\nCUDA kernel errors might be ...")

    monkeypatch.setattr(hardware, "devices", broken)
    done = vdr("doctor", "--model", "nano", "--json")
    assert done.exit_code == 1
    found = facts(done)
    assert "CUDA error: unknown error" in found["problems"][0]
    assert (found["devices"], found["chosen"]) == ([], None)
    assert vdr("doctor", "--model", "nano").exit_code == 1
