"""A file with several names is one document, under one name that is kept current."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.index.documents import PageCounter, write_pdf

from vdr_integrations.index import DenseIndex, sync_index

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations import DenseEncoder
    from vdr_integrations.index import SyncReport

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """``report.pdf`` and a link to it that is sorted before it."""
    folder = tmp_path / "docs"
    write_pdf(folder / "report.pdf", ["report"])
    (folder / "latest.pdf").symlink_to("report.pdf")
    return folder


def names(index: DenseIndex) -> list[str]:
    return [one.source.rpartition("/")[2] for one in index.documents()]


def short(report: SyncReport) -> tuple[list[str], ...]:
    both = (report.added, report.changed, report.unchanged, report.removed)
    return tuple([one.rpartition("/")[2] for one in listed] for listed in both)


def test_a_file_and_a_link_to_it_are_one_document_under_the_name_of_the_file(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    assert short(sync_index(index, encoder, [docs])) == (["report.pdf"], [], [], [])
    assert short(sync_index(index, encoder, [docs])) == ([], [], ["report.pdf"], [])


def test_a_document_that_is_known_by_a_link_takes_the_name_of_the_file_when_that_is_found(
    index: DenseIndex, encoder: DenseEncoder, counter: PageCounter, docs: Path
) -> None:
    latest = docs / "latest.pdf"
    assert short(sync_index(index, encoder, [latest])) == (["latest.pdf"], [], [], [])
    assert short(sync_index(index, encoder, [latest])) == ([], [], ["latest.pdf"], [])
    report = sync_index(index, encoder, [docs])
    assert short(report) == (["report.pdf"], [], [], ["latest.pdf"])
    assert (report.pages_encoded, counter.pages) == (0, 1)


def test_no_stale_page_stays_under_the_name_of_a_link(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs / "latest.pdf"])
    write_pdf(docs / "report.pdf", ["another", "report"])
    report = sync_index(index, encoder, [docs])
    assert short(report) == (["report.pdf"], [], [], ["latest.pdf"])
    assert [page.text.strip() for page in index.pages()] == ["another", "report"]


def test_a_link_that_is_given_later_reaches_the_known_document_of_its_file(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs / "report.pdf"])
    report = sync_index(index, encoder, [docs / "latest.pdf"])
    assert short(report) == ([], [], ["report.pdf"], [])


def test_a_link_that_leads_to_another_file_has_new_content(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    latest = docs / "latest.pdf"
    sync_index(index, encoder, [latest])
    latest.unlink()
    latest.symlink_to(write_pdf(tmp_path / "other" / "new.pdf", ["new"]))
    assert short(sync_index(index, encoder, [latest])) == ([], ["latest.pdf"], [], [])
    assert [page.text.strip() for page in index.pages()] == ["new"]


def test_a_link_to_nothing_is_gone(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    target = write_pdf(tmp_path / "other" / "new.pdf", ["new"])
    write_pdf(tmp_path / "other" / "beside.pdf", ["beside"])
    (docs / "link.pdf").symlink_to(target)
    sync_index(index, encoder, [docs])
    target.unlink()
    report = sync_index(index, encoder, [docs])
    assert short(report) == ([], [], ["report.pdf"], ["link.pdf"])
    assert report.failed == report.missing == []


def test_links_that_lead_to_each_other_are_one_failure_each_and_nothing_hangs(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    (docs / "x.pdf").symlink_to(docs / "x.pdf")
    (docs / "y").symlink_to(docs / "z")
    (docs / "z").symlink_to(docs / "y")
    report = sync_index(index, encoder, [docs, docs / "y"])
    assert short(report) == (["report.pdf"], [], [], [])
    assert [failure.source for failure in report.failed] == [
        str(docs / "y"),
        f"{docs.as_posix()}/x.pdf",
    ]
    assert all("symbolic links" in str(failure.error) for failure in report.failed)


def test_a_known_document_whose_link_became_a_loop_stays(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    (docs / "report.pdf").unlink()
    (docs / "report.pdf").symlink_to("latest.pdf")
    report = sync_index(index, encoder, [docs])
    assert (report.removed, names(index)) == ([], ["report.pdf"])
    assert len(report.failed) == 2


def test_a_folder_that_became_a_link_renames_its_documents_without_encoding_them(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    write_pdf(docs / "gone.pdf", ["gone"])
    sync_index(index, encoder, [docs])
    moved = docs.rename(tmp_path / "mnt")
    (moved / "gone.pdf").unlink()
    docs.symlink_to(moved)
    report = sync_index(index, encoder, [docs])
    assert report.added == [f"{moved.as_posix()}/report.pdf"]
    assert report.removed == [f"{docs.as_posix()}/{one}.pdf" for one in ("gone", "report")]
    assert report.pages_encoded == 0
    assert sync_index(index, encoder, [docs]).unchanged == report.added


def test_hard_links_are_one_document_under_the_name_that_is_known(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    (docs / "latest.pdf").unlink()
    sync_index(index, encoder, [docs])
    os.link(docs / "report.pdf", docs / "a.pdf")
    assert short(sync_index(index, encoder, [docs])) == ([], [], ["report.pdf"], [])
    (docs / "report.pdf").unlink()
    report = sync_index(index, encoder, [docs])
    assert (*short(report), report.pages_encoded) == (["a.pdf"], [], [], ["report.pdf"], 0)


def test_a_hard_link_that_is_found_supersedes_one_that_is_not(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    sync_index(index, encoder, [docs])
    other = tmp_path / "other"
    other.mkdir()
    os.link(docs / "report.pdf", other / "same.pdf")
    report = sync_index(index, encoder, [other])
    assert (*short(report), report.pages_encoded) == (["same.pdf"], [], [], ["report.pdf"], 0)


def test_any_spelling_of_a_path_is_the_same_document(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(docs)
    (docs / "up").symlink_to(docs.parent)
    given = ["report.pdf", "./report.pdf/", "../docs/report.pdf", "up/docs/latest.pdf", docs]
    assert short(sync_index(index, encoder, given)) == (["report.pdf"], [], [], [])
    for one in given:
        assert short(sync_index(index, encoder, [one])) == ([], [], ["report.pdf"], [])
