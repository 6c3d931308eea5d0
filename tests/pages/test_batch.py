from __future__ import annotations

import gc
import os
import weakref
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.pages.pdfs import make_locked_pdf, make_pdf, make_pdf_with_page_keys

from vdr_integrations.errors import (
    DocumentOpenError,
    DocumentPasswordError,
    ImageDecodeError,
    ImageTooLargeError,
    PageError,
    PageGeometryError,
)
from vdr_integrations.pages import (
    ImageLimits,
    PdfPage,
    RenderLimits,
    find_documents,
    read_pages,
)
from vdr_integrations.types import PageImage, PixelBudget

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good files, one of each kind of bad one, and what is to be passed over."""
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


def test_pages_come_in_the_order_of_files_and_pages(folder: Path) -> None:
    pages = list(read_pages(folder))
    assert [str(p) if isinstance(p, PdfPage) else p.source for p in pages] == [
        f"{folder}/a.PDF page 1",
        f"{folder}/b.pdf page 1",
        f"{folder}/b.pdf page 2",
        f"{folder}/deep/er/c.jpeg",
    ]
    for page in pages:
        assert page.render(PixelBudget(max_visual_tokens=12)).mode == "RGB"


def test_bad_files_and_pages_are_reported_and_the_others_go_through(folder: Path) -> None:
    (folder / "a1.pdf").write_bytes(b"not a pdf")
    (folder / "a2.png").write_bytes(b"not a png")
    (folder / "a3.pdf").write_bytes(
        make_pdf_with_page_keys({}, {"MediaBox": "[0 0 0 0]"}, {}),
    )
    Image.new("RGB", (1000, 2)).save(folder / "a4.png")
    problems: list[PageError] = []
    pages = list(read_pages([folder, folder / "gone.pdf"], on_error=problems.append))
    assert len(pages) == 4 + 2
    assert [type(problem) for problem in problems] == [
        DocumentOpenError,
        DocumentOpenError,
        ImageDecodeError,
        PageGeometryError,
        PageGeometryError,
    ]
    assert [problem.source.rsplit("/", 1)[1] for problem in problems] == [
        "gone.pdf",
        "a1.pdf",
        "a2.png",
        "a3.pdf",
        "a4.png",
    ]
    assert problems[3].page_number == 2


def test_without_on_error_the_first_bad_file_ends_the_reading(folder: Path) -> None:
    (folder / "a1.pdf").write_bytes(b"not a pdf")
    pages = read_pages(folder)
    assert isinstance(next(pages), PdfPage)
    with pytest.raises(DocumentOpenError, match=r"a1\.pdf: it is not a PDF"):
        next(pages)


def test_limits_and_password_reach_the_files(folder: Path) -> None:
    (folder / "b.pdf").write_bytes(make_locked_pdf(user="user"))
    problems: list[PageError] = []
    list(
        read_pages(
            folder,
            on_error=problems.append,
            image_limits=ImageLimits(max_pixels=10),
            render_limits=RenderLimits(max_side_pt=800),
        )
    )
    assert [type(problem) for problem in problems] == [
        PageGeometryError,
        DocumentPasswordError,
        ImageTooLargeError,
    ]
    assert len([p for p in read_pages(folder, password="user") if isinstance(p, PdfPage)]) == 4


def test_a_document_is_let_go_of_before_the_next_is_opened(folder: Path) -> None:
    pages = read_pages(folder)
    first = next(pages)
    assert isinstance(first, PdfPage)
    file = weakref.ref(first._file)
    del first
    second = next(pages)
    assert isinstance(second, PdfPage | PageImage)
    gc.collect()
    assert file() is None
