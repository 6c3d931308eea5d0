"""Questions that are made of outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymupdf
import pytest
from tests.pdfs import write_pdf

from vdr_integrations.errors import OptionError
from vdr_integrations.evaluation.outline_questions import read_outline_questions
from vdr_integrations.pages import ProcessLimits, open_pdf

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = [
    [1, "1 Apples and\npears", 2],
    [2, "1.1 Cherries", 3],
    [1, "A.2 Apples", 4],
    [1, "Apples", 2],
    [1, "1.1 Cherries", 3],
]


def write_outlined(path: Path) -> Path:
    with pymupdf.open() as document:
        for _ in range(4):
            document.new_page(width=200, height=280)
        document.set_toc(ENTRIES)
        document.save(path)
    return path


@pytest.mark.parametrize("limits", [ProcessLimits(), None])
def test_a_document_gives_its_outline(tmp_path: Path, limits: ProcessLimits | None) -> None:
    path = write_outlined(tmp_path / "a.pdf")
    with open_pdf(path, process_limits=limits) as document:
        outline = document.outline()
        assert document.is_elsewhere == (limits is not None)
    assert (outline[0].title, outline[0].page_number) == ("1 Apples and pears", 2)
    assert [entry.page_number for entry in outline] == [page for _, _, page in ENTRIES]


def test_each_title_asks_for_its_page_without_its_number(tmp_path: Path) -> None:
    path = write_outlined(tmp_path / "a.pdf")
    made = read_outline_questions([tmp_path], on_warning=pytest.fail)
    found = [(one.text, one.relevant[0].page_number) for one in made.questions]
    assert found == [("Apples and pears", 2), ("Cherries", 3), ("Apples", 4), ("Apples", 2)]
    assert made.first_pages == {path.as_posix(): 2}
    assert {one.documents for one in made.questions} == {(path.as_posix(),)}


def test_pdfs_without_an_outline_are_named(tmp_path: Path) -> None:
    write_outlined(tmp_path / "a.pdf")
    write_pdf(tmp_path / "plain.pdf", ["apples"])
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    warnings: list[str] = []
    made = read_outline_questions([tmp_path], on_warning=warnings.append)
    assert len(made.questions) == 4
    assert any("broken.pdf" in warning for warning in warnings)
    assert any("plain.pdf has no outline" in warning for warning in warnings)


def test_no_outline_at_all_is_an_error(tmp_path: Path) -> None:
    write_pdf(tmp_path / "plain.pdf", ["apples"])
    with pytest.raises(OptionError, match="no PDF has an outline"):
        read_outline_questions([tmp_path], on_warning=list[str]().append)
