"""The same documents in several indexes and in one that holds them all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.index.late_interaction.pages import DENSE_MANIFEST, MANIFEST, document, unit_rows

from vdr_integrations.index import (
    DenseIndex,
    LateInteractionIndex,
    PageRecord,
    QdrantServer,
    QuestionBank,
    open_index,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qdrant_client import QdrantClient

    from vdr_integrations.types import Hit

__all__ = ["BANK", "Book", "Halls", "add", "made", "places", "some_books"]

BANK = QuestionBank(unit_rows(40, seed=99).astype(np.float16), strength=0.75)
WORDS = np.array(["ant", "bee", "cat", "dog", "eel", "fox", "the"])


@dataclass(frozen=True)
class Book:
    """A document: the seed of each page, and its words. Pages of one seed are equal."""

    source: str
    seeds: tuple[int, ...]
    texts: tuple[str, ...]


def some_books(*counts: int, seed: int = 0, alike: int = 0) -> list[Book]:
    """Books with so many pages; of every ``alike`` pages one is the same as in all books."""
    draw = np.random.default_rng(seed)
    books: list[Book] = []
    for number, count in enumerate(counts):
        seeds = [1000 * (number + 1) + page for page in range(count)]
        texts = [
            " ".join(draw.choice(WORDS, size=int(draw.integers(1, 8))))
            if draw.random() < 0.7
            else ""
            for _ in range(count)
        ]
        for page in range(count) if alike else ():
            if page % alike == 0:
                seeds[page], texts[page] = page, "ant bee"
        books.append(Book(f"{number:03}.pdf", tuple(seeds), tuple(texts)))
    return books


def made(
    place: Path | QdrantServer, kind: str, **options: Any
) -> DenseIndex | LateInteractionIndex:
    """An empty index: ``"late"`` has dense vectors and a question bank, ``"plain"`` has not."""
    if kind == "dense":
        assert isinstance(place, Path)
        return DenseIndex.create(place, manifest=DENSE_MANIFEST)
    whole: dict[str, Any] = {"manifest": MANIFEST}
    if kind == "late":
        whole |= {"dense_manifest": DENSE_MANIFEST, "question_bank": BANK}
    return LateInteractionIndex.create(place, **{**whole, **options})


def add(index: DenseIndex | LateInteractionIndex, book: Book) -> None:
    """Put a book into an index."""
    dense = np.concatenate(
        [unit_rows(1, seed=seed, dimension=DENSE_MANIFEST.dimension) for seed in book.seeds]
    )
    vectors: Any = dense
    beside = None
    if isinstance(index, LateInteractionIndex):
        vectors = [unit_rows(5 + seed % 7, seed=seed) for seed in book.seeds]
        beside = None if index.dense_manifest is None else dense
    pages = [
        PageRecord(number, str(number), f"vdr-page:{seed:064d}", text=text)
        for number, (seed, text) in enumerate(zip(book.seeds, book.texts, strict=True), start=1)
    ]
    kinds = [{"odd": bool(number % 2)} for number in range(1, len(pages) + 1)]
    index.add_document(
        document(book.source, total_pages=len(pages)),
        pages,
        vectors,
        dense=beside,
        page_metadata=kinds,
    )


@dataclass
class Halls:
    """Several indexes, joined, and one with all of their documents."""

    shards: list[DenseIndex | LateInteractionIndex]
    joined: DenseIndex | LateInteractionIndex
    one: DenseIndex | LateInteractionIndex

    @classmethod
    def of(
        cls,
        folder: Path,
        books: Sequence[Sequence[Book]],
        *,
        kind: str,
        client: QdrantClient | None = None,
    ) -> Halls:
        """A folder for each list of books, the last in a collection if there is a client."""
        shards: list[DenseIndex | LateInteractionIndex] = []
        for number, of_shard in enumerate(books):
            place: Path | QdrantServer = folder / f"shard-{number}"
            if client is not None and number == len(books) - 1:
                place = QdrantServer("last", client=client)
            index = made(place, kind)
            for book in of_shard:
                add(index, book)
            shards.append(index)
        one = made(folder / "one", kind)
        for of_shard in books:
            for book in of_shard:
                add(one, book)
        return cls(shards, open_index(shards), one)

    def close(self) -> None:
        """Close all."""
        for index in (self.joined, self.one, *self.shards):
            index.close()


def places(hits: Sequence[Hit]) -> list[tuple[str, int]]:
    return [(hit.source, hit.page_number) for hit in hits]
