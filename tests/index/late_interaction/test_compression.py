from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.index.late_interaction.pages import (
    DENSE_MANIFEST,
    GRID,
    MANIFEST,
    document,
    page_records,
    places,
    unit_rows,
)

from vdr_integrations.errors import IndexMismatchError, InvalidVectorError, OptionError
from vdr_integrations.index import Compression, LateInteractionIndex, maxsim_score
from vdr_integrations.index.folder.vector_bytes import token_bytes, token_matrix
from vdr_integrations.index.scoring.token_pooling import pool_visual_tokens, ward_clusters
from vdr_integrations.types import PatchGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tests.index.late_interaction.conftest import Location

    from vdr_integrations.index.compression import VectorFormat


def greedy_ward(vectors: NDArray[np.float32], count: int) -> set[frozenset[int]]:
    """Ward's clustering by its definition: merge the pair that raises the squared error least."""
    clusters = [[n] for n in range(len(vectors))]

    def cost(first: list[int], second: list[int]) -> float:
        a, b = (vectors[rows].astype(np.float64).mean(axis=0) for rows in (first, second))
        return len(first) * len(second) / (len(first) + len(second)) * float(((a - b) ** 2).sum())

    while len(clusters) > count:
        pairs = [(i, j) for j in range(len(clusters)) for i in range(j)]
        i, j = min(pairs, key=lambda pair: cost(clusters[pair[0]], clusters[pair[1]]))
        clusters[i] += clusters.pop(j)
    return {frozenset(cluster) for cluster in clusters}


@given(n=st.integers(2, 24), seed=st.integers(0, 1000), data=st.data())
@settings(max_examples=30)
def test_clusters_are_those_of_wards_definition(n: int, seed: int, data: st.DataObject) -> None:
    vectors, count = unit_rows(n, seed=seed), data.draw(st.integers(1, n))
    clusters = ward_clusters(vectors, count=count)
    found = {frozenset(np.flatnonzero(clusters == c).tolist()) for c in set(clusters.tolist())}
    assert found == greedy_ward(vectors, count)
    first_seen = [clusters.tolist().index(c) for c in range(count)]
    assert first_seen == sorted(first_seen)


def test_equal_tokens_are_clustered_without_going_in_circles() -> None:
    vectors = np.repeat(unit_rows(3), 5, axis=0)
    assert ward_clusters(vectors, count=3).tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert len(set(ward_clusters(vectors, count=7).tolist())) == 7


def test_pooling_keeps_the_prompt_and_shrinks_the_visual_tokens() -> None:
    page, grid = unit_rows(40), PatchGrid(first=3, rows=6, columns=5)
    pooled = pool_visual_tokens(page, grid, factor=3)
    assert pooled.shape == (3 + 10 + 7, 16)
    assert np.array_equal(pooled[:3], page[:3])
    assert np.array_equal(pooled[-7:], page[33:])
    assert np.linalg.norm(pooled, axis=1) == pytest.approx(np.ones(20), abs=1e-6)
    assert pool_visual_tokens(page, grid, factor=1) is page


def test_vectors_that_cancel_out_still_have_a_direction() -> None:
    page, grid = np.vstack([unit_rows(1), -unit_rows(1)]), PatchGrid(0, 1, 2)
    pooled = pool_visual_tokens(page, grid, factor=2)
    assert np.linalg.norm(pooled, axis=1) == pytest.approx([1.0])


@pytest.mark.parametrize(
    "wrong",
    [{"vectors": "float64"}, {"token_pooling": 0}, {"token_pooling": 2.5}, {"vectors": "binary"}],
)
def test_what_is_not_offered_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        Compression(**wrong)


def as_kept(rows: NDArray[np.float32], vectors: VectorFormat) -> NDArray[np.float32]:
    """Vectors as they are after storage."""
    data = token_bytes(rows, vectors=vectors)
    return token_matrix(data, tokens=len(rows), dimension=rows.shape[1], vectors=vectors)


@pytest.mark.parametrize(
    ("vectors", "most_off"), [("float32", 0.0), ("float16", 5e-4), ("int8", 5e-3)]
)
@pytest.mark.parametrize("dimension", [6, 7, 128])
def test_stored_vectors_are_near_what_was_given(
    vectors: VectorFormat, most_off: float, dimension: int
) -> None:
    rows = unit_rows(33, dimension=dimension)
    assert np.abs(as_kept(rows, vectors) - rows).max() <= most_off
    zeros = np.zeros((2, dimension), np.float32)
    assert np.array_equal(as_kept(zeros, vectors), zeros)


@pytest.mark.parametrize(
    ("vectors", "pooling"),
    [("float32", 1), ("float16", 3), ("int8", 1), ("int8", 2)],
)
def test_scores_are_exact_for_what_is_stored_whatever_the_compression(
    location: Location, vectors: VectorFormat, pooling: int
) -> None:
    compression = Compression(vectors, pooling)
    pages = [unit_rows(12 + n, seed=n) for n in range(9)]
    query = unit_rows(5, seed=99)
    with LateInteractionIndex.create(location, manifest=MANIFEST, compression=compression) as index:
        index.add_document(document("a.pdf"), page_records(*range(1, 10)), pages)
        index.optimize()
        hits = index.search(query, k=9)
    with LateInteractionIndex.open(location) as index:
        assert index.compression == compression
        assert index.search(query, k=9) == hits
        stored = [index.vectors_of(hit.page_id) for hit in hits]
        if pooling > 1:
            assert index.get([hits[0].page_id])[0].grid is None
    scores = [maxsim_score(query, rows) for rows in stored]
    assert [hit.score for hit in hits] == pytest.approx(scores, rel=1e-5)
    expected = {
        n: maxsim_score(
            query,
            as_kept(pool_visual_tokens(rows, GRID, factor=pooling), vectors),
        )
        for n, rows in enumerate(pages, start=1)
    }
    assert {hit.page_number: hit.score for hit in hits} == pytest.approx(expected, rel=1e-5)


def test_dense_vectors_recall_and_maxsim_ranks(location: Location) -> None:
    dense = unit_rows(30, seed=5, dimension=8)
    pages = [unit_rows(12, seed=n) for n in range(30)]
    query, dense_query = unit_rows(5, seed=99), unit_rows(1, seed=98, dimension=8)[0]
    with LateInteractionIndex.create(
        location, manifest=MANIFEST, dense_manifest=DENSE_MANIFEST
    ) as index:
        index.add_document(document("a.pdf"), page_records(*range(1, 31)), pages, dense=dense)
        hits = index.search(query, k=4, candidates=6, dense_query=dense_query)
        recalled = np.argsort(-(dense @ dense_query))
        stored = [rows.astype(np.float16).astype(np.float32) for rows in pages]
        best = sorted(recalled[:6], key=lambda n: -maxsim_score(query, stored[n]))[:4]
        assert places(hits) == [("a.pdf", n + 1) for n in best]
        kept = index.get([hits[0].page_id], with_vectors=True)[0].dense
        assert kept is not None
        assert kept == pytest.approx(dense[hits[0].page_number - 1], abs=1e-6)
        assert index.dense_manifest == DENSE_MANIFEST


def test_dense_vectors_that_do_not_fit_are_refused(location: Location) -> None:
    rows, right = unit_rows(8), unit_rows(1, dimension=8)
    with LateInteractionIndex.create(
        location, manifest=MANIFEST, dense_manifest=DENSE_MANIFEST
    ) as index:
        for dense, error in (
            (None, OptionError),
            (rows, OptionError),
            (2 * right, InvalidVectorError),
        ):
            given_dense = None if dense is None else dense[:1]
            with pytest.raises(error, match="dense"):
                index.add_document(document("a.pdf"), page_records(1), [rows], dense=given_dense)
        index.add_document(document("a.pdf"), page_records(1), [rows], dense=right)
        for wrong, error in ((rows[0], OptionError), (2 * right[0], InvalidVectorError)):
            with pytest.raises(error, match="dense_query"):
                index.search(rows, dense_query=wrong)


def test_an_index_with_dense_vectors_refuses_another_dense_encoder(
    location: Location, encoder: Any
) -> None:
    LateInteractionIndex.create(location, manifest=MANIFEST, dense_manifest=DENSE_MANIFEST).close()
    with pytest.raises(IndexMismatchError, match="some/dense"):
        LateInteractionIndex.open(location, dense_encoder=encoder)
