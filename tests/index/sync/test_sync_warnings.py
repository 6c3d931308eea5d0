"""Warnings of pages, from the drawing to the report."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.index.documents import write_pdf
from tests.page_warnings import WARNING, spoil_a_picture

from vdr_integrations.index import DenseIndex, PageWarning, SyncWarning, sync_index

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations import DenseEncoder


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Two documents; the second page of the first warns."""
    spoil_a_picture(write_pdf(tmp_path / "docs" / "a.pdf", ["apples", "pears"]), 2)
    write_pdf(tmp_path / "docs" / "b.pdf", ["boats"])
    return tmp_path / "docs"


def test_a_warning_is_reported_and_stored_with_page_and_document(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    report = sync_index(index, encoder, [docs])
    source = (docs / "a.pdf").as_posix()
    assert report.warnings == [SyncWarning(source, 2, WARNING)]
    assert (report.failed, report.indexed) == ([], 2)
    assert [page.warnings for page in index.pages()] == [(), (WARNING,), ()]
    assert [one.warnings for one in index.documents()] == [(PageWarning(2, WARNING),), ()]


def test_an_unchanged_document_warns_again_until_it_changes(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    first = sync_index(index, encoder, [docs])
    path = docs / "a.pdf"
    os.utime(path, (1, 1))  # its bytes are read once more, and its state is updated
    for _ in range(2):
        again = sync_index(index, encoder, [docs])
        assert again.pages_encoded == 0
        assert again.warnings == first.warnings
    write_pdf(path, ["apples", "plums"])
    changed = sync_index(index, encoder, [docs])
    assert (changed.changed, changed.warnings) == ([path.as_posix()], [])
    assert index.documents()[0].warnings == ()
