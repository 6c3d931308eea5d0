"""Documents of random pages, and the places that hold indexes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vdr_integrations.index import DocumentRecord, FileState, Manifest, PageRecord, maxsim_score
from vdr_integrations.types import PatchGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.types import Hit

DIMENSION = 16
MANIFEST = Manifest("f" * 64, "some/model", None, DIMENSION, 16)
DENSE_MANIFEST = Manifest("d" * 64, "some/dense", None, 8, 16)
FILE = FileState("0" * 64, 1, 2, 3)
GRID = PatchGrid(first=1, rows=2, columns=3)


def unit_rows(count: int, *, seed: int = 0, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """Random vectors of length 1."""
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def document(source: str, *, total_pages: int = 9) -> DocumentRecord:
    return DocumentRecord(source=source, file=FILE, total_pages=total_pages)


def page_records(*numbers: int, grid: PatchGrid | None = GRID) -> list[PageRecord]:
    return [
        PageRecord(
            number,
            page_label=f"p{number}",
            page_ref=f"vdr-page:{number:064d}",
            text=f"text {number}",
            grid=grid,
        )
        for number in numbers
    ]


@dataclass
class Library:
    """Adds documents to an index and knows what a search must find."""

    index: LateInteractionIndex
    pages: dict[tuple[str, int], NDArray[np.float32]] = field(
        default_factory=dict[tuple[str, int], "NDArray[np.float32]"]
    )

    def add(self, source: str, count: int = 3, *, seed: int = 0, **options: Any) -> None:
        lengths = np.random.default_rng(seed).integers(7, 15, size=count)
        vectors = [unit_rows(int(length), seed=1000 * seed + n) for n, length in enumerate(lengths)]
        records = page_records(*range(1, count + 1))
        self.index.add_document(document(source), records, vectors, **options)
        self.pages = {key: rows for key, rows in self.pages.items() if key[0] != source}
        self.pages |= {(source, n): rows for n, rows in enumerate(vectors, start=1)}

    def expected(self, query: NDArray[np.float32], *, k: int) -> list[tuple[str, int, float]]:
        """MaxSim by its definition, over vectors rounded to float16."""
        scored = [
            (source, number, maxsim_score(query, rows.astype(np.float16).astype(np.float32)))
            for (source, number), rows in self.pages.items()
        ]
        return sorted(scored, key=lambda page: (-page[2], page[0], page[1]))[:k]


def places(hits: list[Hit]) -> list[tuple[str, int]]:
    return [(hit.source, hit.page_number) for hit in hits]
