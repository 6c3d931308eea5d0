"""What commands do with an index that holds pages of an interrupted run, and with outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.pdfs import write_pdf

from vdr_integrations import MultiVectorEncoder, PageSearcher
from vdr_integrations.index import open_index, sync_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from vdr_integrations.index import SyncProgress


class Interrupted(BaseException):
    pass


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of late interaction whose only run was interrupted within a document."""
    monkeypatch.chdir(tmp_path)
    write_pdf(tmp_path / "long.pdf", [f"page {number}" for number in range(12)])
    encoder = MultiVectorEncoder.load("nano-colqwen2", device="cpu", max_visual_tokens=16)

    def stop(progress: SyncProgress) -> None:
        if progress.pages_done >= 2:
            raise Interrupted

    with PageSearcher(tmp_path / "ix", encoder=encoder) as searcher:
        index = searcher.create()
        with pytest.raises(Interrupted):
            sync_index(index, encoder, [tmp_path / "long.pdf"], batch_pages=1, on_progress=stop)
        assert index.is_empty
        assert index.unfinished.kept().pages
    return tmp_path / "ix"


def kept(index: Path) -> int:
    with open_index(index) as opened:
        return opened.unfinished.kept().pages


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "nano"], "nano"),
        (["--late-interaction", "--compression", "int8"], "of 1 unfinished document"),
    ],
)
def test_another_kind_or_model_does_not_drop_what_is_kept(
    vdr: Callable[..., Result], begun: Path, options: list[str], said: str
) -> None:
    before = kept(begun)
    done = vdr("index", "long.pdf", "--index", begun, *options)
    assert done.exit_code == 1
    assert said in done.stderr
    assert kept(begun) == before


def test_a_run_without_options_goes_on(vdr: Callable[..., Result], begun: Path) -> None:
    before = kept(begun)
    done = vdr("index", "long.pdf", "--index", begun, "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    assert f"{12 - before} pages encoded, {before} kept" in done.stdout
    assert kept(begun) == 0


def test_an_unfinished_document_can_be_removed(vdr: Callable[..., Result], begun: Path) -> None:
    done = vdr("rm", "long.pdf", "--index", begun, "--yes")
    assert (done.exit_code, kept(begun)) == (0, 0), done.stderr
    assert vdr("rm", "long.pdf", "--index", begun, "--yes").exit_code == 1


def test_a_heat_map_takes_the_file_name_of_a_document(
    vdr: Callable[..., Result], begun: Path, tmp_path: Path
) -> None:
    assert vdr("index", "long.pdf", "--index", begun).exit_code == 0
    options = ["--source", "long.pdf", "--page", "3", "--out", "map.png", "--index", begun]
    done = vdr("heatmap", "page", *options)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("folder", "it is a folder"),
        ("nowhere/map.png", "does not exist; create it"),
        ("link.png", "does not exist; create it"),
        ("map.jpg", "written as .png"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_any_work(
    vdr: Callable[..., Result], begun: Path, tmp_path: Path, out: str, said: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.png").symlink_to("nowhere/map.png")
    (tmp_path / "link.html").symlink_to("nowhere/map.html")
    page = ["--source", "long.pdf", "--page", "1"]
    for done in (
        vdr("heatmap", "page", *page, "--index", begun, "--out", out),
        vdr("show", "long.pdf", "1", "--index", begun, "--out", out),
        vdr("search", "page", "--index", begun, "--report", out.replace("png", "html")),
    ):
        if "jpg" in out and "--report" in done.stderr:
            continue
        assert done.exit_code == 1
        assert said in done.stderr or (out == "map.jpg" and "written as" in done.stderr)
