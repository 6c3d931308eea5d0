"""Pages are copied as they are stored: nothing is pooled or rounded a second time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.index.late_interaction.pages import (
    DENSE_MANIFEST,
    MANIFEST,
    document,
    page_records,
    unit_rows,
)

from vdr_integrations.errors import OptionError
from vdr_integrations.index import (
    Compression,
    DenseIndex,
    LateInteractionIndex,
    QuestionBank,
    SkippedPage,
)
from vdr_integrations.index.folder.vector_bytes import token_bytes, token_matrix

if TYPE_CHECKING:
    from pathlib import Path

    from tests.index.late_interaction.conftest import Location

    from vdr_integrations.index import Manifest

PAGES = 40
"""More than are copied at once."""


@pytest.mark.parametrize(
    "compression",
    [
        Compression("float16"),
        Compression("float32"),
        Compression("int8"),
        Compression("int8", token_pooling=3),
        Compression("float16", token_pooling=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("dense_manifest", [None, DENSE_MANIFEST], ids=["tokens", "both"])
def test_a_copy_has_the_same_numbers_texts_and_metadata(
    location: Location, compression: Compression, dense_manifest: Manifest | None
) -> None:
    with LateInteractionIndex.create(
        location,
        manifest=MANIFEST,
        dense_manifest=dense_manifest,
        compression=compression,
        question_bank=QuestionBank(unit_rows(20, seed=5).astype(np.float16)),
    ) as index:
        index.add_document(
            document("old", total_pages=PAGES + 1),
            [replace(one, warnings=("a warning",)) for one in page_records(*range(1, PAGES + 1))],
            [unit_rows(9 + number % 3, seed=number) for number in range(PAGES)],
            dense=unit_rows(PAGES, dimension=8) if dense_manifest else None,
            metadata={"author": "me"},
            page_metadata=[{"number": number} for number in range(PAGES)],
        )
        copy = replace(
            document("new", total_pages=PAGES + 1), skipped=(SkippedPage(PAGES + 1, "too long"),)
        )
        index.copy_document("old", copy)
        assert index.document("new") == copy
        old, new = (
            index.get(index.page_ids({"source": name}), with_vectors=True)
            for name in ("old", "new")
        )
        assert len(new) == PAGES
        for one, other in zip(old, new, strict=True):
            assert np.array_equal(np.asarray(one.vectors), np.asarray(other.vectors))
            assert np.array_equal(np.asarray(one.dense), np.asarray(other.dense))
            for name in (
                "page_number",
                "page_label",
                "page_ref",
                "text",
                "grid",
                "metadata",
                "bias",
                "warnings",
            ):
                assert getattr(one, name) == getattr(other, name)
        query = unit_rows(4, seed=77)
        hits = [index.search(query, k=PAGES, filter={"source": name}) for name in ("old", "new")]
        scores = [[(hit.page_number, hit.score) for hit in found] for found in hits]
        assert scores[0] == scores[1]
        assert index.check_document("new") == (PAGES, [])
        assert index.clean_up() == 0


def test_a_dense_index_copies_too_and_replaces_what_has_the_name(tmp_path: Path) -> None:
    with DenseIndex.create(tmp_path / "index", manifest=DENSE_MANIFEST) as index:
        rows = unit_rows(3, dimension=8)
        index.add_document(document("old", total_pages=3), page_records(1, 2, 3), rows)
        index.add_document(document("new", total_pages=1), page_records(1), rows[2:])
        index.copy_document("old", document("new", total_pages=3))
        found = index.get(index.page_ids({"source": "new"}), with_vectors=True)
        assert np.array_equal(np.array([page.dense for page in found]), rows)


def test_a_document_that_is_not_there_cannot_be_copied(tmp_path: Path) -> None:
    with DenseIndex.create(tmp_path / "index", manifest=DENSE_MANIFEST) as index:
        with pytest.raises(OptionError, match="no pages of 'old'"):
            index.copy_document("old", document("new", total_pages=3))
        assert index.documents() == []


@given(
    dimension=st.sampled_from([2, 16, 128, 1536]),
    seed=st.integers(0, 2**32 - 1),
    spread=st.floats(0.1, 8.0),
)
def test_rounding_a_second_time_changes_nothing(dimension: int, seed: int, spread: float) -> None:
    drawn = np.random.default_rng(seed).normal(size=(8, dimension))
    drawn = np.sign(drawn) * np.abs(drawn) ** spread
    rows = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    for kind in ("int8", "float16", "float32"):
        once = token_bytes(rows, vectors=kind)
        back = token_matrix(once, tokens=8, dimension=dimension, vectors=kind)
        assert np.array_equal(token_bytes(back, vectors=kind), once)
