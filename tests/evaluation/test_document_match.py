"""Which documents of an index questions mean."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from vdr_integrations.evaluation import JudgedQuestion, RelevantPage, match_documents
from vdr_integrations.index import StoredPage


def page(source: str, number: int, *, total: int = 3) -> StoredPage:
    return StoredPage("id", source, number, str(number), "", total, "text", None)


PAGES = [
    *(page("/docs/a.pdf", number) for number in (1, 2)),
    page("/docs/old/b.pdf", 1),
    page("/docs/new/b.pdf", 1),
    page(f"/docs/{unicodedata.normalize('NFD', 'für.pdf')}", 1),
]


def asked(*relevant: RelevantPage) -> JudgedQuestion:
    return JudgedQuestion("1", "Who?", relevant)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("a.pdf", "/docs/a.pdf"),
        ("docs/a.pdf", "/docs/a.pdf"),
        ("/docs/a.pdf", "/docs/a.pdf"),
        ("old/b.pdf", "/docs/old/b.pdf"),
        ("new\\b.pdf", "/docs/new/b.pdf"),
        (unicodedata.normalize("NFC", "für.pdf"), PAGES[-1].source),
    ],
)
def test_a_name_is_the_end_of_a_path_in_any_normal_form(name: str, source: str) -> None:
    (found,), left = match_documents([asked(RelevantPage(name, 1, 2))], PAGES)
    assert found.relevant == {(source, 1): 2}
    assert found.sources == (source,)
    assert left == []


@pytest.mark.parametrize(
    ("relevant", "reason"),
    [
        (RelevantPage("z.pdf", 1), "z.pdf is not among the documents"),
        (RelevantPage("x/a.pdf", 1), "x/a.pdf is not among the documents"),
        (RelevantPage(".pdf", 1), ".pdf is not among the documents"),
        (RelevantPage("b.pdf", 1), "2 documents are called b.pdf; name the folder too"),
        (RelevantPage("a.pdf", 9), "a.pdf has 3 pages, and the question names page 9"),
        (RelevantPage("a.pdf", 3), "a.pdf page 3 could not be indexed"),
    ],
)
def test_a_question_that_cannot_be_asked_is_left_out_with_its_reason(
    relevant: RelevantPage, reason: str
) -> None:
    question = asked(RelevantPage("a.pdf", 1), relevant)
    found, (left,) = match_documents([question], PAGES)
    assert found == []
    assert (left.question, left.reason) == (question, reason)


def test_a_link_means_the_document_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "link.pdf").symlink_to(tmp_path / "a.pdf")
    source = (Path(os.path.realpath(tmp_path)) / "a.pdf").as_posix()
    name = str(tmp_path / "link.pdf")
    (found,), _ = match_documents([asked(RelevantPage(name, 1))], [page(source, 1)])
    assert found.sources == (source,)


def test_two_names_of_one_page_count_once_with_the_higher_grade() -> None:
    question = asked(RelevantPage("a.pdf", 1, 1), RelevantPage("/docs/a.pdf", 1, 3))
    (found,), _ = match_documents([question], PAGES)
    assert found.relevant == {("/docs/a.pdf", 1): 3}


def test_a_name_with_a_null_byte_is_that_of_no_document() -> None:
    found, (left,) = match_documents([asked(RelevantPage("a\0.pdf", 1))], PAGES)
    assert found == []
    assert left.reason == "a\0.pdf is not among the documents"


def test_the_documents_of_many_unknown_names_are_looked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at: list[str] = []
    real = os.path.realpath

    def realpath(path: str) -> str:
        looked_at.append(path)
        return real(path)

    monkeypatch.setattr(os.path, "realpath", realpath)
    _, left = match_documents([asked(RelevantPage("no.pdf", n)) for n in range(1, 50)], PAGES)
    assert len(left) == 49
    assert len(looked_at) == len(set(looked_at)), "each document and each name once"
