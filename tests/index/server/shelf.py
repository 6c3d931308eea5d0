"""An index on the client's in-process engine, and its expected content."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from vdr_integrations.index import DocumentRecord, FileState, Manifest, PageRecord, maxsim_score
from vdr_integrations.index.compression import Compression
from vdr_integrations.index.index_settings import Settings
from vdr_integrations.index.page_filter import Where, parse_filter
from vdr_integrations.index.search_steps import MaxSimSearch
from vdr_integrations.index.server import writer
from vdr_integrations.index.staged_document import StagedDocument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.index.server.engine import ServerEngine
    from vdr_integrations.types import Hit

DIMENSION = 16
DENSE_DIMENSION = 8
MANIFEST = Manifest("f" * 64, "some/model", None, DIMENSION, 16)
DENSE_MANIFEST = Manifest("d" * 64, "some/dense", None, DENSE_DIMENSION, 16)
SETTINGS = Settings(MANIFEST, None, Compression(), {"query": "Q"})
BOTH = Settings(MANIFEST, DENSE_MANIFEST, Compression(), {})
DENSE_ONLY = Settings(None, DENSE_MANIFEST, Compression(), {})
FILE = FileState("0" * 64, 1, 2, 3)
EVERYWHERE = Where()


def unit_rows(count: int, *, seed: int = 0, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """Random vectors of length 1."""
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def document(source: str) -> DocumentRecord:
    return DocumentRecord(source=source, file=FILE, total_pages=9)


def page_record(number: int) -> PageRecord:
    return PageRecord(
        number,
        page_label=f"p{number}",
        page_ref=f"vdr-page:{number:064d}",
        text=f"text {number}",
    )


def places(hits: Sequence[Hit]) -> list[tuple[str, int]]:
    return [(hit.source, hit.page_number) for hit in hits]


@dataclass
class Shelf:
    """Adds documents to an engine and knows what a search must find."""

    engine: ServerEngine
    pages: dict[tuple[str, int], NDArray[np.float32]] = field(
        default_factory=dict[tuple[str, int], "NDArray[np.float32]"]
    )

    def staged(
        self, source: str, pages: Sequence[NDArray[np.float32]], **metadata: Any
    ) -> StagedDocument:
        """A document with all its pages, not committed."""
        settings = self.engine.settings
        made = StagedDocument(self.engine.begin(source), settings, source, metadata=metadata)
        for number, rows in enumerate(pages, start=1):
            dense = unit_rows(1, seed=number, dimension=DENSE_DIMENSION)[0]
            if settings.tokens is None:
                made.add(page_record(number), rows[0])
            else:
                beside = None if settings.dense is None else dense
                made.add(page_record(number), rows, dense=beside, metadata={"number": number})
        return made

    def sent(self, source: str, pages: Sequence[NDArray[np.float32]]) -> StagedDocument:
        """A document whose pages are on the server, not committed."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, "BATCH_BYTES", 0)
            return self.staged(source, pages)

    def add(self, source: str, count: int = 3, *, seed: int = 0, **metadata: Any) -> None:
        """A document of ragged pages, as an index object would add it."""
        pages = some_pages(count, seed=seed)
        if self.engine.settings.tokens is None:
            pages = [unit_rows(1, seed=99 * seed + n, dimension=8) for n in range(count)]
        staged = self.staged(source, pages, **metadata)
        try:
            staged.commit(document(source))
        except BaseException:
            staged.discard()
            raise
        self.pages = {key: rows for key, rows in self.pages.items() if key[0] != source}
        self.pages |= {(source, number): rows for number, rows in enumerate(pages, start=1)}

    def search(self, query: NDArray[np.float32], k: int = 5, **options: Any) -> list[Hit]:
        where = parse_filter(options.pop("filter", None))
        return self.engine.search(MaxSimSearch(query, k, where, **options))

    def expected(self, query: NDArray[np.float32], *, k: int) -> list[tuple[str, int]]:
        """MaxSim by its definition, over vectors rounded to float16."""
        scored = [
            (source, number, maxsim_score(query, rows.astype(np.float16).astype(np.float32)))
            for (source, number), rows in self.pages.items()
        ]
        best = sorted(scored, key=lambda page: (-page[2], page[0], page[1]))[:k]
        return [page[:2] for page in best]


def some_pages(count: int, *, seed: int = 0) -> list[NDArray[np.float32]]:
    """Matrices of 7 to 14 tokens."""
    lengths = np.random.default_rng(seed).integers(7, 15, size=count)
    return [unit_rows(int(length), seed=1000 * seed + n) for n, length in enumerate(lengths)]
