"""Warnings of pages in folders and on servers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest
from qdrant_client import QdrantClient

from vdr_integrations.index import (
    DenseIndex,
    DocumentRecord,
    FileState,
    LateInteractionIndex,
    Manifest,
    PageRecord,
    PageWarning,
    QdrantServer,
    open_index,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdr_integrations.types import Hit

Index: TypeAlias = DenseIndex | LateInteractionIndex
Place: TypeAlias = "Path | QdrantServer"

MANIFEST = Manifest("f" * 64, "some/model", None, 4, 16)
FILE = FileState("0" * 64, 1, 2, 3)
DOCUMENT = DocumentRecord("a.pdf", FILE, 3)
ROWS = np.eye(3, 4, dtype=np.float32)
BLANK, FONT = "a picture is blank.", "a font is missing; 'naïve' is not drawn."


@pytest.fixture(params=["dense folder", "late folder", "late server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param != "late server":
        yield tmp_path / request.param
        return
    client = QdrantClient(":memory:")
    yield QdrantServer("pages", client=client)
    client.close()


@pytest.fixture
def index(place: Place) -> Iterator[Index]:
    if isinstance(place, Path) and place.name == "dense folder":
        made = DenseIndex.create(place, manifest=MANIFEST)
    else:
        made = LateInteractionIndex.create(place, manifest=MANIFEST)
    with made:
        add(made, [(), (BLANK, FONT), (BLANK,)])
        yield made


def add(index: Index, warnings: list[tuple[str, ...]]) -> None:
    pages = [
        PageRecord(number, str(number), f"vdr-page:{number:064d}", warnings=given)
        for number, given in enumerate(warnings, start=1)
    ]
    index.add_document(DOCUMENT, pages, ROWS if index.late is None else list(ROWS[:, None]))


def best(index: Index, row: int) -> Hit:
    query = ROWS[row] if index.late is None else ROWS[row : row + 1]
    return index.search(query, k=1)[0]


def test_pages_hits_and_the_document_have_the_warnings(index: Index) -> None:
    assert [page.warnings for page in index.pages()] == [(), (BLANK, FONT), (BLANK,)]
    assert [best(index, row).warnings for row in range(3)] == [(), (BLANK, FONT), (BLANK,)]
    expected = (PageWarning(2, BLANK), PageWarning(2, FONT), PageWarning(3, BLANK))
    assert index.documents() == [replace(DOCUMENT, warnings=expected)]


def test_whatever_writes_a_document_again_keeps_them(index: Index, place: Place) -> None:
    index.update_file_state("a.pdf", replace(FILE, size_bytes=9))
    index.remove_pages([index.page_ids()[2]])
    index.optimize()
    index.clean_up()
    with open_index(place) as other:
        assert [page.warnings for page in other.pages()] == [(), (BLANK, FONT)]
        expected = (PageWarning(2, BLANK), PageWarning(2, FONT))
        assert [one.warnings for one in other.documents()] == [expected]
        assert list(other.check_files()) == []
        assert other.check_document("a.pdf") == (2, [])


def test_a_new_version_has_only_its_own(index: Index) -> None:
    add(index, [(FONT,), (), ()])
    assert index.documents()[0].warnings == (PageWarning(1, FONT),)
    assert [page.warnings for page in index.pages()] == [(FONT,), (), ()]


def test_text_that_is_not_unicode_is_cleaned_as_the_text_layer_is(index: Index) -> None:
    add(index, [("bad \ud800 font",), (), ()])
    (shown,) = index.pages()[0].warnings
    assert shown.encode()
    assert index.documents()[0].warnings[0].message == shown


def test_a_hit_as_a_dict_names_warnings_only_if_there_are_any(index: Index) -> None:
    assert "warnings" not in best(index, 0).to_dict()
    assert best(index, 1).to_dict()["warnings"] == [BLANK, FONT]
