"""``vdr info``, ``vdr rm`` and ``vdr verify``."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.menus import index_menus
from tests.cli.pseudo_terminal import in_terminal
from tests.index.documents import write_pdf, write_pdf_with_a_bad_page, write_png
from typer.testing import CliRunner

from vdr_integrations.cli.app import app
from vdr_integrations.index import DenseIndex, LateInteractionIndex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.prepared.python import PreparedPython
    from typer.testing import Result

pytestmark = pytest.mark.usefixtures("seen_pages")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    """A folder with four documents, ``docs``, and their dense index, ``ix``."""
    folder = tmp_path_factory.mktemp("care")
    write_pdf(folder / "docs" / "a.pdf", ["apples", "pears"])
    write_png(folder / "docs" / "b.png", "navy")
    write_pdf(folder / "docs" / "old" / "c.pdf", ["cherries"])
    write_pdf_with_a_bad_page(folder / "docs" / "old" / "d.pdf")
    model = ["--model", str(tiny_checkpoint), "--max-visual-tokens", "16", "--dimension", "32"]
    done = CliRunner().invoke(
        app, ["index", str(folder / "docs"), "--index", str(folder / "ix"), *model]
    )
    assert done.exit_code == 3, done.stderr
    return folder


@pytest.fixture
def ix(original: Path, tmp_path: Path) -> Path:
    """A copy of the index that a test may change."""
    return shutil.copytree(original / "ix", tmp_path / "ix")


@pytest.fixture(scope="module")
def menus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_menus(tmp_path_factory.mktemp("menus"))


@pytest.fixture
def late(menus: Path, tmp_path: Path) -> Path:
    return shutil.copytree(menus / "ix", tmp_path / "late")


def shown(done: Result) -> dict[str, Any]:
    assert done.stderr == ""
    return json.loads(done.stdout)


def sources(path: Path) -> list[str]:
    return [one.source for one in DenseIndex.open(path).documents()]


def altered(ix: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(ix / "index.sqlite3") as connection:
        connection.execute(statement, values)
    connection.close()


def test_info_says_what_an_index_was_made_with(
    vdr: Callable[..., Result], original: Path, tiny_checkpoint: Path
) -> None:
    found = shown(vdr("info", "--index", original / "ix", "--json"))
    manifest = DenseIndex.open(original / "ix").manifest
    assert found == {
        "index": str(original / "ix"),
        "kind": "dense",
        "model": str(tiny_checkpoint),
        "revision": None,
        "fingerprint": manifest.fingerprint,
        "dimension": 32,
        "max_visual_tokens": 16,
        "compression": None,
        "correction": None,
        "recall": None,
        "pages": 6,
        "skipped_pages": 1,
        "unfinished": {"documents": 0, "pages": 0},
        "bytes": sum(file.stat().st_size for file in (original / "ix").iterdir()),
        "documents": 4,
    }


def test_info_lists_documents_on_request(vdr: Callable[..., Result], original: Path) -> None:
    lines = vdr("info", "--index", original / "ix", "--documents").stdout.splitlines()
    assert lines[-4:] == [
        f"{(original / 'docs/a.pdf').as_posix()}\t2 pages",
        f"{(original / 'docs/b.png').as_posix()}\t1 pages",
        f"{(original / 'docs/old/c.pdf').as_posix()}\t1 pages",
        f"{(original / 'docs/old/d.pdf').as_posix()}\t3 pages, 1 not indexed",
    ]
    facts = dict(line.split("  ", 1) for line in lines[:-4])
    assert facts["documents"].strip() == "4"
    assert facts["bytes"].endswith(" kB")
    listed = shown(vdr("info", "--index", original / "ix", "--documents", "--json"))["documents"]
    assert [one["total_pages"] for one in listed] == [2, 1, 1, 3]


def test_info_names_the_compression_of_a_late_interaction_index(
    vdr: Callable[..., Result], menus: Path
) -> None:
    found = shown(vdr("info", "--json", VDR_INDEX=str(menus / "ix")))
    assert (found["kind"], found["compression"]) == ("late-interaction", "float16")
    assert (found["documents"], found["pages"], found["model"]) == (2, 2, "nano-colqwen2")


def test_info_counts_what_an_index_takes_on_disk(vdr: Callable[..., Result], menus: Path) -> None:
    found = shown(vdr("info", "--index", menus / "ix", "--json"))
    files = [file.stat() for file in (menus / "ix").rglob("*") if file.is_file()]
    assert 0 < found["bytes"] <= sum(file.st_size for file in files)


def test_info_and_verify_load_no_torch(original: Path) -> None:
    for command in ("info", "verify"):
        script = (
            f"import sys; sys.argv = ['vdr', {command!r}, '--index', {str(original / 'ix')!r}]\n"
            "from vdr_integrations.cli.main import main\n"
            "try: main()\n"
            "finally: print([m for m in ('torch', 'transformers', 'pymupdf') if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith("\n[]\n")


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("{docs}/a.pdf", ["a.pdf"]),
        ("a.pdf", ["a.pdf"]),
        ("*.pdf", ["a.pdf", "c.pdf", "d.pdf"]),
        ("{docs}/*.pdf", ["a.pdf"]),
        ("{docs}/**/*.pdf", ["a.pdf", "c.pdf", "d.pdf"]),
        ("{docs}/old", ["c.pdf", "d.pdf"]),
        ("{docs}/old/[ab].pdf", []),
    ],
)
def test_rm_takes_paths_folders_file_names_and_globs(
    vdr: Callable[..., Result], original: Path, ix: Path, pattern: str, gone: list[str]
) -> None:
    done = vdr("rm", pattern.format(docs=original / "docs"), "--index", ix, "--yes", "--json")
    removed = json.loads(done.stdout)["removed"]
    assert [source.rpartition("/")[2] for source in removed] == gone
    assert done.exit_code == (0 if gone else 1)
    assert set(sources(ix)) == set(sources(original / "ix")) - set(removed)


def test_rm_understands_paths_from_where_it_is_called(
    vdr: Callable[..., Result], original: Path, ix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(original / "docs" / "old")
    done = vdr("rm", "*.pdf", "../b.png", "--index", ix, "--yes")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "3 documents removed (5 pages)"
    assert sources(ix) == [(original / "docs" / "a.pdf").as_posix()]


def test_rm_without_a_terminal_or_yes_shows_what_would_go_and_removes_nothing(
    vdr: Callable[..., Result], original: Path, ix: Path
) -> None:
    done = vdr("rm", "a.pdf", "--index", ix, asked="y\n")
    assert (done.exit_code, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first == (original / "docs" / "a.pdf").as_posix()
    assert "--yes" in second
    assert len(sources(ix)) == 4


def test_rm_says_which_pattern_matched_nothing(vdr: Callable[..., Result], ix: Path) -> None:
    nothing = vdr("rm", "z.pdf", "--index", ix, "--yes")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert nothing.stderr == "error: z.pdf: the index has no such document.\n"
    some = vdr("rm", "z.pdf", "a.pdf", "--index", ix, "--yes")
    assert some.exit_code == 3
    assert len(sources(ix)) == 3


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals")
@pytest.mark.parametrize(("answer", "left"), [("y", 3), ("n", 4)])
def test_rm_asks_on_a_terminal(ix: Path, answer: str, left: int) -> None:
    import pty

    controller, terminal = pty.openpty()
    os.write(controller, f"{answer}\n".encode())
    done = subprocess.run(
        [sys.executable, "-m", "vdr_integrations", "rm", "a.pdf", "--index", str(ix)],
        stdin=terminal,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(terminal)
    os.close(controller)
    assert done.returncode == (0 if answer == "y" else 1)
    assert "Remove these 1 documents" in done.stderr
    assert len(sources(ix)) == left


def test_rm_removes_from_a_late_interaction_index(vdr: Callable[..., Result], late: Path) -> None:
    assert vdr("rm", "menu.pdf", "--index", late, "--yes").exit_code == 0
    with LateInteractionIndex.open(late) as index:
        assert [one.source.rpartition("/")[2] for one in index.documents()] == ["other.pdf"]
        assert index.count_pages() == 1


def test_verify_finds_a_fresh_index_whole(
    vdr: Callable[..., Result], original: Path, menus: Path
) -> None:
    done = vdr("verify", "--index", original / "ix")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "intact: 4 documents, 6 pages, 0 files changed or gone\n"
    found = shown(vdr("verify", "--index", menus / "ix", "--json"))
    assert found == {
        "ok": True,
        "documents": 2,
        "pages": 2,
        "problems": [],
        "files": [],
        "unfinished": {"documents": 0, "pages": 0},
    }


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals")
def test_verify_shows_on_a_terminal_how_far_it_is(
    prepared_python: PreparedPython, original: Path
) -> None:
    seen = in_terminal(
        prepared_python, "verify", "--index", original / "ix", "--json", stream="stderr"
    )
    assert seen.exit_code == 0
    assert json.loads(seen.other)["documents"] == 4
    shown = [line for line in seen.terminal.split("\r") if "Verifying" in line]
    assert "4/4" in shown[-1]


def test_verify_lists_changed_and_lost_files_with_exit_code_3(
    vdr: Callable[..., Result], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    changed = write_pdf(tmp_path / "docs" / "a.pdf", ["apples"])
    gone = write_png(tmp_path / "docs" / "b.png", "navy")
    touched = write_png(tmp_path / "docs" / "c.png", "red")
    options = ["--index", tmp_path / "ix"]
    model = ["--model", tiny_checkpoint, "--max-visual-tokens", 16]
    assert vdr("index", tmp_path / "docs", *options, *model).exit_code == 0
    write_pdf(changed, ["pears"])
    gone.unlink()
    os.utime(touched)
    done = vdr("verify", *options, "--json")
    assert done.exit_code == 3
    found = shown(done)
    assert found["ok"]
    assert found["files"] == [
        {"source": changed.as_posix(), "state": "changed"},
        {"source": gone.as_posix(), "state": "gone"},
    ]
    assert f"gone\t{gone.as_posix()}\n" in vdr("verify", *options).stdout


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE pages SET content = replace(content, 'label', 'lapel')", "its record was altered"),
        ("DELETE FROM pages WHERE row = 2", "its record is gone"),
        ("UPDATE documents SET record = '{}' WHERE source LIKE '%b.png'", "b.png: its record"),
        ("DELETE FROM documents WHERE source LIKE '%b.png'", "documents are missing"),
    ],
)
def test_verify_finds_damage(
    vdr: Callable[..., Result], ix: Path, statement: str, message: str
) -> None:
    altered(ix, statement)
    done = vdr("verify", "--index", ix)
    assert done.exit_code == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["tokens", "dense"])
def test_verify_names_the_page_whose_vectors_were_altered(
    vdr: Callable[..., Result], tmp_path: Path, kind: str
) -> None:
    files = write_pdf(tmp_path / "docs" / "a.pdf", ["apples", "pears"])
    place = tmp_path / "both"
    folder = ["--index", place]
    models = ["--late-interaction", "--model", "nano-colqwen2", "--recall", "nano"]
    made = vdr("index", files, *folder, *models)
    assert made.exit_code == 0
    assert vdr("verify", *folder).exit_code == 0
    (file,) = place.glob(f"*.{kind}")
    data = bytearray(file.read_bytes())
    data[-9] ^= 64
    file.write_bytes(data)
    done = vdr("verify", *folder, "--json")
    assert done.exit_code == 1
    found = shown(done)
    (problem,) = found["problems"]
    assert problem.endswith("a.pdf page 2: its vectors were altered.")
    assert (found["documents"], found["pages"]) == (1, 1)


def test_an_altered_document_can_be_removed_and_indexed_again(
    vdr: Callable[..., Result], ix: Path
) -> None:
    pages = shown(vdr("info", "--index", ix, "--json"))["pages"]
    altered(ix, "UPDATE documents SET record = '{}' WHERE source LIKE '%b.png'")
    assert vdr("info", "--index", ix).exit_code == 1
    assert vdr("rm", "b.png", "--index", ix, "--yes").exit_code == 0
    assert vdr("verify", "--index", ix).exit_code == 0
    assert shown(vdr("info", "--index", ix, "--json"))["pages"] == pages - 1


def test_optimize_gives_space_back(vdr: Callable[..., Result], ix: Path) -> None:
    done = vdr("optimize", "--index", ix)
    assert (done.exit_code, done.stderr) == (0, "")
    assert " MB before, " in done.stdout


def test_verify_reports_an_index_that_cannot_be_opened(
    vdr: Callable[..., Result], ix: Path, tmp_path: Path
) -> None:
    (ix / "index.sqlite3").write_bytes(b"garbage" * 1000)
    done = vdr("verify", "--index", ix, "--json")
    assert done.exit_code == 1
    assert "damaged" in shown(done)["problems"][0]
    assert vdr("verify", "--index", tmp_path / "none").exit_code == 1
