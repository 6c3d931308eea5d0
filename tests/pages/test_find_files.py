from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.machine import files_left
from tests.pages.pdfs import make_pdf
from tests.unprivileged import as_nobody, let_nobody_in

from vdr_integrations.errors import DocumentOpenError, PageError, ResourceError
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


def test_pictures_of_cameras_and_browsers_are_found_by_all_their_suffixes(tmp_path: Path) -> None:
    suffixes = ["jfif", "jif", "JPE", "jpeg", "jpg", "tif", "webp"]
    for suffix in suffixes:
        (tmp_path / f"x.{suffix}").touch()
    (tmp_path / "x.heic").touch()
    assert [path.suffix[1:] for path in find_documents(tmp_path)] == sorted(suffixes)


def test_a_file_without_a_suffix_is_what_its_first_bytes_say(tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(b"\xef\xbb\xbf" + make_pdf())
    (tmp_path / "README").write_text("BM is how a text may begin", encoding="utf-8")
    (tmp_path / "empty").touch()
    (tmp_path / "late").write_bytes(bytes(1024) + make_pdf())
    (tmp_path / "scan.old").write_bytes(make_pdf())
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"):
        Image.new("RGB", (60, 40)).save(tmp_path / kind, format=kind)
    assert names(find_documents(tmp_path), tmp_path) == [
        "BMP",
        "GIF",
        "JPEG",
        "PNG",
        "TIFF",
        "WEBP",
        "scan",
    ]
    assert names(find_documents(tmp_path / "*"), tmp_path)[-1] == "scan"


@pytest.mark.skipif(os.name != "posix", reason="FIFOs")
def test_nothing_waits_for_a_fifo_without_a_suffix(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.pdf")
    assert names(find_documents(folder), folder) == [
        "a.PDF",
        "b.pdf",
        "deep/er/c.jpeg",
        "pipe.pdf",
    ]


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_file_with_several_names_is_listed_once_under_one_that_is_no_link(folder: Path) -> None:
    (folder / "a link.pdf").symlink_to(folder / "b.pdf")
    os.link(folder / "b.pdf", folder / "deep" / "hard.pdf")
    (folder / "nothing.pdf").symlink_to(folder / "nowhere.pdf")
    assert names(find_documents(folder), folder) == ["b.pdf", "a.PDF", "deep/er/c.jpeg"]
    assert find_documents(folder / "a link.pdf") == [folder / "a link.pdf"]
    with pytest.raises(DocumentOpenError, match="no such file or folder"):
        find_documents(folder / "nothing.pdf")


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_folder_that_cannot_be_listed_is_one_error_and_all_beside_it_is_found(
    folder: Path,
) -> None:
    let_nobody_in(folder)
    (folder / "deep").chmod(0o000)
    problems: list[PageError] = []
    with as_nobody():
        found = find_documents([folder, folder / "deep" / "x.pdf"], on_error=problems.append)
        with pytest.raises(DocumentOpenError, match="cannot be listed"):
            find_documents(folder)
    assert names(found, folder) == ["a.PDF", "b.pdf"]
    assert [str(problem).removeprefix(str(folder)) for problem in problems] == [
        "/deep: the folder cannot be listed (Permission denied).",
        "/deep/x.pdf: it cannot be looked at (Permission denied).",
    ]


def test_a_machine_that_opens_no_more_files_is_not_taken_for_an_empty_folder(folder: Path) -> None:
    with files_left(0), pytest.raises(ResourceError, match="Too many open files"):
        find_documents(folder, on_error=lambda _: None)
