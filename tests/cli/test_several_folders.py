"""Several folders as one index on the command line."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from tests.pdfs import write_pdf

from vdr_integrations import DenseEncoder
from vdr_integrations.index import DenseIndex, open_index, sync_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Vdr = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("seen_pages")


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two indexes with a document each."""
    encoder = DenseEncoder.load("nano")
    for name, text in (("a", "apples"), ("b", "pears and plums")):
        document = write_pdf(tmp_path / f"{name}.pdf", [text, f"more {text}"])
        with DenseIndex.create(tmp_path / name, encoder=encoder) as index:
            sync_index(index, encoder, [document])
    return [tmp_path / "a", tmp_path / "b"]


@pytest.fixture
def named(folders: list[Path]) -> list[object]:
    return ["--index", folders[0], "--index", folders[1]]


def sources(result: Result) -> set[str]:
    assert result.exit_code == 0, result.stderr
    return {hit["source"].rpartition("/")[2] for hit in json.loads(result.stdout)}


def test_a_search_finds_pages_of_all(vdr: Vdr, named: list[object], folders: list[Path]) -> None:
    assert sources(vdr("search", "plums", "--json", *named)) == {"a.pdf", "b.pdf"}
    joined = os.pathsep.join(map(str, folders))
    assert sources(vdr("search", "plums", "--json", VDR_INDEX=joined)) == {"a.pdf", "b.pdf"}
    alone = vdr("search", "plums", "--json", "--index", folders[0], VDR_INDEX=joined)
    assert sources(alone) == {"a.pdf"}


@pytest.mark.skipif(os.pathsep != ":", reason="no folder can have its name")
def test_a_folder_whose_name_has_a_separator_can_be_in_the_environment(
    vdr: Vdr, folders: list[Path], tmp_path: Path
) -> None:
    whole = folders[0].rename(tmp_path / f"a{os.pathsep}b")
    facts = json.loads(vdr("info", "--json", VDR_INDEX=str(whole)).stdout)
    assert facts["index"] == str(whole)
    drawn = vdr("heatmap", "plums", "--out", tmp_path / "x.png", VDR_INDEX=str(whole))
    assert "keeps one vector a page" in drawn.stderr  # it was opened


def test_empty_names_in_the_environment_are_no_folders(
    vdr: Vdr, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folders[0])  # "" would be this one
    for joined in (f"{folders[1]}{os.pathsep}", f"{os.pathsep}{folders[1]}"):
        found = vdr("search", "plums", "--json", VDR_INDEX=joined)
        assert sources(found) == {"b.pdf"}
    nothing = vdr("info", VDR_INDEX=os.pathsep)
    assert nothing.exit_code == 2
    assert "names no folder" in nothing.stderr


def test_what_they_hold_is_shown_and_checked(
    vdr: Vdr, named: list[object], folders: list[Path], tmp_path: Path
) -> None:
    facts = json.loads(vdr("info", "--json", *named).stdout)
    assert facts["index"] == [str(folder) for folder in folders]
    assert (facts["pages"], facts["documents"]) == (4, 2)
    alone = [json.loads(vdr("info", "--json", "--index", one).stdout) for one in folders]
    assert facts["bytes"] == sum(one["bytes"] for one in alone)
    assert alone[0]["index"] == str(folders[0])
    assert f"{folders[0]}, {folders[1]}" in vdr("info", *named).stdout
    assert "plums" in vdr("show", "b.pdf", 1, "--text", *named).stdout
    assert vdr("verify", *named).stdout.startswith("intact: 2 documents, 4 pages")
    assert "MB now" in vdr("optimize", *named).stdout
    pruned = vdr("store", "prune", "--dry-run", "--store", tmp_path / "store", *named)
    assert pruned.exit_code == 0, pruned.stderr


def test_a_document_is_removed_where_it_is(
    vdr: Vdr, named: list[object], folders: list[Path]
) -> None:
    removed = vdr("rm", "b.pdf", "--yes", *named)
    assert "1 documents removed (2 pages)" in removed.stdout
    with open_index(folders[1]) as index:
        assert index.is_empty
    assert sources(vdr("search", "plums", "--json", *named)) == {"a.pdf"}


def test_documents_are_indexed_into_one_folder(
    vdr: Vdr, named: list[object], folders: list[Path], tmp_path: Path
) -> None:
    write_pdf(tmp_path / "c.pdf", ["cherries"])
    refused = vdr("index", tmp_path / "c.pdf", *named)
    assert refused.exit_code == 1
    assert "documents cannot be written to 2 indexes at once" in refused.stderr
    assert vdr("index", tmp_path / "c.pdf", "--index", folders[0]).exit_code == 0


def test_a_missing_folder_is_named(vdr: Vdr, folders: list[Path], tmp_path: Path) -> None:
    places = ["--index", folders[0], "--index", tmp_path / "nowhere"]
    for command in (["search", "plums"], ["info"], ["verify"]):
        missing = vdr(*command, *places)
        assert missing.exit_code == 1
        assert "nowhere" in missing.stderr
        assert missing.stdout == ""


def test_a_document_in_two_folders_is_refused(
    vdr: Vdr, named: list[object], folders: list[Path], tmp_path: Path
) -> None:
    assert vdr("index", tmp_path / "b.pdf", "--index", folders[0]).exit_code == 0
    refused = vdr("search", "plums", *named)
    assert refused.exit_code == 1
    assert "b.pdf is in index" in " ".join(refused.stderr.split())


def test_folders_joined_as_in_path_are_one_system_of_an_evaluation(
    vdr: Vdr, folders: list[Path], tmp_path: Path
) -> None:
    questions = tmp_path / "questions.jsonl"
    lines = [{"question": "plums", "document": "b.pdf", "pages": [1]}]
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    joined = os.pathsep.join(map(str, folders))
    options = ["--index", joined, "--json", "-"]
    found = vdr("eval", questions, *options)
    assert found.exit_code == 0, found.stderr
    assert "a+b" in found.stdout
