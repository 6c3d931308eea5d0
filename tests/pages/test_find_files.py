from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.pages.pdfs import make_pdf

from vdr_integrations.errors import DocumentOpenError, PageError
from vdr_integrations.pages import find_documents

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three documents, and files that are not documents or are hidden."""
    root = tmp_path / "docs"
    (root / "deep" / "er").mkdir(parents=True)
    (root / ".hidden").mkdir()
    (root / "b.pdf").write_bytes(make_pdf(["one", "two"]))
    (root / "a.PDF").write_bytes(make_pdf(["one"]))
    Image.new("RGB", (60, 40)).save(root / "deep" / "er" / "c.jpeg")
    (root / "deep" / "notes.txt").write_text("nothing", encoding="utf-8")
    (root / ".hidden" / "x.pdf").write_bytes(make_pdf())
    (root / ".y.pdf").write_bytes(make_pdf())
    return root


def names(paths: list[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_a_folder_gives_its_documents_sorted_and_nothing_else(folder: Path) -> None:
    assert names(find_documents(folder), folder) == ["a.PDF", "b.pdf", "deep/er/c.jpeg"]
    assert find_documents(str(folder)) == find_documents(folder)


def test_paths_keep_their_order_and_come_once(folder: Path) -> None:
    found = find_documents([folder / "b.pdf", folder, folder / "deep" / ".." / "a.PDF"])
    assert names(found, folder) == ["b.pdf", "a.PDF", "deep/er/c.jpeg"]


def test_patterns_are_expanded(folder: Path) -> None:
    assert names(find_documents(folder / "*.pdf"), folder) == ["b.pdf"]
    assert names(find_documents(f"{folder}/**/*"), folder) == ["a.PDF", "b.pdf", "deep/er/c.jpeg"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    path = folder / "report[1].pdf"
    path.write_bytes(make_pdf())
    assert find_documents(path) == [path]


def test_a_file_that_was_named_is_listed_whatever_its_suffix(folder: Path) -> None:
    assert names(find_documents(folder / "deep" / "notes.txt"), folder) == ["deep/notes.txt"]


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_links_to_folders_are_not_entered(folder: Path) -> None:
    (folder / "deep" / "up").symlink_to(folder)
    (folder / "loop.pdf").symlink_to(folder / "loop.pdf")
    assert names(find_documents(folder), folder) == [
        "a.PDF",
        "b.pdf",
        "deep/er/c.jpeg",
        "loop.pdf",
    ]


@pytest.mark.parametrize("missing", ["none.pdf", "*.none", "x" * 5000])
def test_a_path_that_names_nothing_is_an_error_and_the_others_go_on(
    folder: Path, missing: str
) -> None:
    with pytest.raises(DocumentOpenError, match="no such file or folder"):
        find_documents([folder / missing])
    problems: list[PageError] = []
    found = find_documents([folder / missing, folder / "a.PDF"], on_error=problems.append)
    assert names(found, folder) == ["a.PDF"]
    assert [problem.source for problem in problems] == [str(folder / missing)]
