"""Small folders with every kind of index, and all answers that one can give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.index.late_interaction.pages import (
    DENSE_MANIFEST,
    MANIFEST,
    document,
    page_records,
    unit_rows,
)

from vdr_integrations.index import Compression, DenseIndex, LateInteractionIndex

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.stored_page import StoredPage
    from vdr_integrations.types import Hit

    Index: TypeAlias = DenseIndex | LateInteractionIndex

__all__ = ["KINDS", "Kind", "add", "answers", "hit_keys", "page_key", "queries", "vectors_of"]

DENSE_DIMENSION = DENSE_MANIFEST.dimension


@dataclass(frozen=True)
class Kind:
    """Which vectors an index stores, and how."""

    tokens: bool
    dense: bool
    compression: Compression = Compression()  # noqa: RUF009  # frozen

    def create(self, path: Path) -> Index:
        if not self.tokens:
            return DenseIndex.create(path, manifest=DENSE_MANIFEST)
        return LateInteractionIndex.create(
            path,
            manifest=MANIFEST,
            dense_manifest=DENSE_MANIFEST if self.dense else None,
            compression=self.compression,
        )


KINDS = {
    "dense": Kind(tokens=False, dense=True),
    "float16": Kind(tokens=True, dense=False),
    "int8": Kind(tokens=True, dense=False, compression=Compression("int8")),
    "both": Kind(tokens=True, dense=True),
}


def vectors_of(seed: int, count: int, *, tokens: int = 6) -> tuple[Any, NDArray[np.float32]]:
    """Token matrices and dense vectors of ``count`` pages."""
    matrices = [unit_rows(tokens + n % 3, seed=1000 * seed + n) for n in range(count)]
    return matrices, unit_rows(count, seed=seed, dimension=DENSE_DIMENSION)


def add(index: Index, source: str, count: int = 3, *, seed: int = 0, tokens: int = 6) -> None:
    """Add a document, or replace it by another version."""
    matrices, dense = vectors_of(seed, count, tokens=tokens)
    records = [
        replace(record, text=f"text {source} {seed} {record.page_number}")
        for record in page_records(*range(1, count + 1), grid=None)
    ]
    options: dict[str, Any] = {
        "metadata": {"seed": seed, "kind": source[0]},
        "page_metadata": [{"parity": "odd" if n % 2 else "even"} for n in range(count)],
    }
    if isinstance(index, DenseIndex):
        index.add_document(document(source, total_pages=count), records, dense, **options)
    else:
        both = dense if index.dense_manifest is not None else None
        index.add_document(
            document(source, total_pages=count), records, matrices, dense=both, **options
        )


def queries(index: Index, *seeds: int) -> list[NDArray[np.float32]]:
    if isinstance(index, DenseIndex):
        return [unit_rows(1, seed=seed, dimension=DENSE_DIMENSION)[0] for seed in seeds]
    return [unit_rows(4, seed=1000 * seed) for seed in seeds]


def answers(
    index: Index, *, seeds: tuple[int, ...] = (0, 1), k: int = 4, brief: bool = False
) -> dict[str, Any]:
    """All answers of an index: documents, pages, vectors, and hits of searches.

    Args:
        index: An open index.
        seeds: Seeds of the questions.
        k: Number of hits of each.
        brief: Only one search per question, without filters.
    """
    pages = index.pages()
    found: dict[str, Any] = {
        "documents": index.documents(),
        "count": index.count_pages(),
        "pages": [page_key(page) for page in pages],
    }
    ids = [page.page_id for page in pages]
    found["vectors"] = [page_key(page) for page in index.get(ids, with_vectors=True)]
    if not brief:
        found["odd"] = index.page_ids({"metadata": {"parity": "odd"}})
    found["text"] = hit_keys(index.search_text("text b.pdf 1 1 2", k=k))
    for number, query in enumerate(queries(index, *seeds)):
        found[f"search {number}"] = hit_keys(index.search(query, k=k))
        if brief:
            continue
        found[f"filtered {number}"] = hit_keys(
            index.search(query, k=k, filter={"metadata": {"kind": "b"}})
        )
        if isinstance(index, LateInteractionIndex):
            found[f"exhaustive {number}"] = hit_keys(index.search(query, k=k, exhaustive=True))
            if index.dense_manifest is not None:
                dense = unit_rows(1, seed=number, dimension=DENSE_DIMENSION)[0]
                hits = index.search(query, k=k, candidates=k, dense_query=dense)
                found[f"by dense {number}"] = hit_keys(hits)
    return found


def page_key(page: StoredPage) -> tuple[Any, ...]:
    return (
        page.page_id,
        page.source,
        page.page_number,
        page.page_label,
        page.page_ref,
        page.total_pages,
        page.text,
        str(page.metadata),
        page.bias,
        None if page.vectors is None else page.vectors.tobytes(),
        None if page.dense is None else page.dense.tobytes(),
    )


def hit_keys(hits: list[Hit]) -> list[tuple[Any, ...]]:
    return [
        (hit.source, hit.page_number, hit.score, hit.page_ref, hit.text, str(hit.metadata))
        for hit in hits
    ]
