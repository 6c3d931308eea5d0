"""Indexes that are computed from others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from vdr_integrations.errors import OptionError
from vdr_integrations.evaluation import derive_index
from vdr_integrations.index import (
    Compression,
    DenseIndex,
    DocumentRecord,
    LateInteractionIndex,
    Manifest,
    PageRecord,
)
from vdr_integrations.index.records import NO_FILE
from vdr_integrations.types import PatchGrid

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from vdr_integrations.index.page_index import PageIndex

pytestmark = pytest.mark.usefixtures("seen_pages")

RANDOM = np.random.default_rng(5)
GRID = PatchGrid(rows=3, columns=4, first=1)


def manifest(dimension: int) -> Manifest:
    return Manifest(f"print {dimension}", "nano", None, dimension, 768)


def units(*shape: int) -> NDArray[np.float32]:
    found = RANDOM.normal(size=shape)
    return (found / np.linalg.norm(found, axis=-1, keepdims=True)).astype(np.float32)


def add(index: PageIndex, source: str, vectors: NDArray[np.float32]) -> None:
    pages = [
        PageRecord(number, f"p{number}", "", f"text {number}", None if index.late is None else GRID)
        for number in range(1, len(vectors) + 1)
    ]
    metadata = {"year": 2024}
    index.add_document(
        DocumentRecord(source, NO_FILE, len(pages)), pages, vectors, metadata=metadata
    )


def dense_of(index: PageIndex, source: str) -> NDArray[np.float32]:
    pages = index.get(index.page_ids({"source": source}), with_vectors=True)
    return np.array([page.dense for page in pages if page.dense is not None])


def test_dense_vectors_are_cut_and_normalised(tmp_path: Path) -> None:
    vectors = units(3, 16)
    with (
        DenseIndex.create(tmp_path / "a", manifest=manifest(16)) as index,
        DenseIndex.create(tmp_path / "b", manifest=manifest(4)) as into,
    ):
        add(index, "/a.pdf", vectors)
        derive_index(index, into)
        expected = vectors[:, :4] / np.linalg.norm(vectors[:, :4], axis=1, keepdims=True)
        np.testing.assert_allclose(dense_of(into, "/a.pdf"), expected, atol=1e-6)
        found = into.pages()
        assert [page.text for page in found] == ["text 1", "text 2", "text 3"]
        assert found[0].metadata == {"year": 2024}


@pytest.mark.parametrize(
    "compression", [Compression("int8"), Compression("float16", 3), Compression("int8", 2)]
)
def test_token_vectors_are_as_if_the_pages_were_indexed_so(
    tmp_path: Path, compression: Compression
) -> None:
    vectors = units(2, 15, 8)
    with (
        LateInteractionIndex.create(tmp_path / "a", manifest=manifest(8)) as index,
        LateInteractionIndex.create(
            tmp_path / "b", manifest=manifest(8), compression=compression
        ) as into,
        LateInteractionIndex.create(
            tmp_path / "c", manifest=manifest(8), compression=compression
        ) as made,
    ):
        add(index, "/a.pdf", vectors)
        add(made, "/a.pdf", vectors)
        derive_index(index, into)
        for found, expected in zip(
            into.get(into.page_ids(), with_vectors=True),
            made.get(made.page_ids(), with_vectors=True),
            strict=True,
        ):
            assert found.vectors is not None
            assert expected.vectors is not None
            np.testing.assert_allclose(found.vectors, expected.vectors, atol=0.01)


def test_a_second_run_changes_only_what_has_changed(tmp_path: Path) -> None:
    with (
        DenseIndex.create(tmp_path / "a", manifest=manifest(8)) as index,
        DenseIndex.create(tmp_path / "b", manifest=manifest(4)) as into,
    ):
        add(index, "/a.pdf", units(2, 8))
        add(index, "/b.pdf", units(1, 8))
        derive_index(index, into)
        before = dense_of(into, "/a.pdf")
        index.remove_document("/b.pdf")
        add(index, "/c.pdf", units(1, 8))
        derive_index(index, into)
        assert [one.source for one in into.documents()] == ["/a.pdf", "/c.pdf"]
        np.testing.assert_array_equal(dense_of(into, "/a.pdf"), before)


def test_what_is_lost_cannot_be_derived(tmp_path: Path) -> None:
    with (
        DenseIndex.create(tmp_path / "a", manifest=manifest(4)) as short,
        DenseIndex.create(tmp_path / "b", manifest=manifest(8)) as long,
        LateInteractionIndex.create(
            tmp_path / "c", manifest=manifest(8), compression=Compression("int8")
        ) as rounded,
        LateInteractionIndex.create(tmp_path / "d", manifest=manifest(8)) as late,
    ):
        with pytest.raises(OptionError, match="cannot become vectors of 8"):
            derive_index(short, long)
        with pytest.raises(OptionError, match="is compressed"):
            derive_index(rounded, late)
        with pytest.raises(OptionError, match="different kinds of vectors"):
            derive_index(long, late)
