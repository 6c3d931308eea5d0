"""What ``vdr index`` looks at before it loads a model, and what an interrupt leaves."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.patience import HANG_S
from tests.pdfs import encrypt_pdf, write_pdf

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PageSearcher
from vdr_integrations.errors import IndexMismatchError
from vdr_integrations.index import DenseIndex, LateInteractionIndex, open_index, sync_index
from vdr_integrations.index.shards.shard_folders import planned_shard_set

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.prepared.python import PreparedPython
    from typer.testing import Result

pytestmark = pytest.mark.usefixtures("seen_pages")

NO_MODEL = ("--model", "nobody/has-this-model")
"""Loading it is an error, so a command that says something else has not loaded it."""
SMALL = ("--model", "nano", "--max-visual-tokens", "16")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return write_pdf(tmp_path / "docs" / "a.pdf", ["apples"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["nothing.pdf"], "there is no such file"),
        (["no*.pdf"], "there is no such file"),
        (["broken.pdf"], "neither a PDF nor a picture"),
        (["secret.pdf"], "password"),
        (["empty"], "no PDFs or images in"),
        (["docs", "--compression", "int8"], "add --late-interaction"),
        (["docs", "--recall", "nano"], "add --late-interaction"),
        (["docs", "--page-timeout", "-1"], "page_timeout_s"),
        (["docs", "--password-env", "NOWHERE"], "NOWHERE"),
    ],
)
def test_what_can_be_known_without_a_model_is_said_first(  # noqa: PLR0917
    vdr: Callable[..., Result],
    document: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    (tmp_path / "broken.pdf").write_text("nothing")
    (tmp_path / "empty").mkdir()
    encrypt_pdf(document, password="open").rename(tmp_path / "secret.pdf")
    monkeypatch.chdir(tmp_path)
    done = vdr("index", *options, "--index", "ix", *NO_MODEL)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "could not be loaded" not in done.stderr
    assert not (tmp_path / "ix").exists()


@pytest.mark.parametrize(
    ("devices", "said"),
    [("cpu,", "without empty parts"), ("cpu,tpu", "'tpu'"), ("cpu,meta", "found cpu and meta")],
)
def test_devices_that_cannot_share_work_are_refused(
    vdr: Callable[..., Result], document: Path, tmp_path: Path, devices: str, said: str
) -> None:
    done = vdr("index", document, "--index", tmp_path / "ix", *SMALL, "--device", devices)
    assert done.exit_code == 1
    assert said in done.stderr


def test_what_is_for_several_machines_asks_for_ray(
    vdr: Callable[..., Result], tmp_path: Path
) -> None:
    for arguments, said in (
        (("reports", "--shards", 2), "--shards and --encoders are for --ray"),
        (("s3://bucket/reports",), "s3://...: documents at URLs are indexed with --ray"),
    ):
        ended = vdr("index", *arguments, "--index", tmp_path / "new")
        assert ended.exit_code == 1
        assert said in ended.stderr
    planned_shard_set(tmp_path / "set", count=2, default=1).make()
    ended = vdr("index", "reports", "--index", tmp_path / "set")
    assert "is a set of shards, which several machines fill; add --ray" in ended.stderr
    for name in ("shard-00", "shard-01"):  # its documents would be in two of them
        ended = vdr("index", "reports", "--index", tmp_path / "set" / name)
        assert ended.exit_code == 1
        assert "is a shard of the set" in ended.stderr


@pytest.mark.parametrize(
    "command", [("index", "docs"), ("search", "apples")], ids=["index", "search"]
)
def test_another_model_is_refused_before_it_is_downloaded(
    vdr: Callable[..., Result],
    document: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, str],
) -> None:
    """No hub can be asked here: an error about it would come first."""
    monkeypatch.chdir(tmp_path)
    assert vdr("index", "docs", "--index", "ix", *SMALL).exit_code == 0
    done = vdr(*command, "--index", "ix", "--model", "llamaindex/vdr-2b-multi-v1")
    assert done.exit_code == 1
    assert "was made by nano and cannot be used with llamaindex/vdr-2b-multi-v1" in done.stderr


def test_a_path_that_names_nothing_is_said_first_of_an_existing_index(
    vdr: Callable[..., Result], document: Path, tmp_path: Path
) -> None:
    assert vdr("index", document, "--index", tmp_path / "ix", *SMALL).exit_code == 0
    done = vdr("index", tmp_path / "nothing.pdf", "--index", tmp_path / "ix", *NO_MODEL)
    assert done.exit_code == 1
    assert "there is no such file" in done.stderr
    assert "could not be loaded" not in done.stderr


def test_one_bad_file_before_a_good_one_does_not_stop_the_run(
    vdr: Callable[..., Result], document: Path, tmp_path: Path
) -> None:
    (document.parent / "0.pdf").write_text("nothing")
    done = vdr("index", document.parent, "--index", tmp_path / "ix", *SMALL)
    assert done.exit_code == 3
    assert done.stdout.startswith("1 added,")


def test_an_index_without_documents_is_made_again(
    vdr: Callable[..., Result], document: Path, tmp_path: Path
) -> None:
    path = tmp_path / "ix"
    LateInteractionIndex.create(path, encoder=MultiVectorEncoder.load("nano-colqwen2")).close()
    assert vdr("index", document, "--index", path, *SMALL).exit_code == 0
    with open_index(path) as index:
        assert index.late is None
        assert index.manifest.max_visual_tokens == 16
        assert index.count_pages() == 1


def test_an_index_without_documents_keeps_its_settings_if_none_are_given(
    vdr: Callable[..., Result], document: Path, tmp_path: Path
) -> None:
    path = tmp_path / "ix"
    DenseIndex.create(path, encoder=DenseEncoder.load("nano", max_visual_tokens=32)).close()
    assert vdr("index", document, "--index", path).exit_code == 0
    with open_index(path) as index:
        assert index.manifest.max_visual_tokens == 32


def test_whoever_has_the_old_index_open_cannot_write_to_the_new_one(
    document: Path, tmp_path: Path
) -> None:
    path = tmp_path / "ix"
    encoder = DenseEncoder.load("nano")
    with DenseIndex.create(path, encoder=encoder) as old:
        made = PageSearcher(path, encoder=MultiVectorEncoder.load("nano-colqwen2")).create()
        assert made.late is not None
        with pytest.raises(IndexMismatchError, match="made again with other settings"):
            sync_index(old, encoder, [document])


@pytest.mark.parametrize("interrupts", [1, 3])
def test_an_interrupt_says_what_is_kept(
    prepared_python: PreparedPython, document: Path, tmp_path: Path, interrupts: int
) -> None:
    for number in range(10):
        write_pdf(document.with_name(f"{number}.pdf"), [f"page {n}" for n in range(20)])
    path = tmp_path / "ix"
    with prepared_python.start(
        *("-m", "vdr_integrations", "index", str(document.parent)),
        *("--index", str(path), "--model", "nano"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not path.exists():
            assert process.poll() is None, process.communicate()
        for _ in range(interrupts):
            process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, complained
    assert said == ""
    assert "Traceback" not in complained
    if interrupts == 1:
        assert complained.strip().startswith("stopped; ")
        assert complained.strip().endswith("kept, run again to go on")
