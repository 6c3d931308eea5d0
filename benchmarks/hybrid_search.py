"""Hybrid search in a folder: CPU time beside a search without words, and what it misses.

    python -m benchmarks.hybrid_search

Token vectors are those of `benchmarks.synthetic_pages`; a tenth of the pages has no text, the
others have 300 words as in `benchmarks.text_search`. Searches with and without words are done in
turn, each question in both; times are CPU times of all threads. Overlap is with comparing all.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.synthetic_pages import SyntheticPages
from benchmarks.text_search import ASKED, PAGES_A_DOCUMENT, WORDS, texts
from vdr_integrations.index import (
    DocumentRecord,
    HybridQuery,
    LateInteractionIndex,
    Manifest,
    PageRecord,
)
from vdr_integrations.index.records import NO_FILE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.types import Hit

DIMENSION = 128
K = 10
WITHOUT_TEXT = 10
"""One page of this many has no text."""


def write(folder: Path, made: SyntheticPages, pages: list[str]) -> None:
    """Write all pages into a new index."""
    manifest = Manifest("f" * 64, "some/model", None, DIMENSION, made.grid.cells)
    with LateInteractionIndex.create(folder, manifest=manifest) as index:
        for start in range(0, len(pages), PAGES_A_DOCUMENT):
            some = pages[start : start + PAGES_A_DOCUMENT]
            records = [
                PageRecord(
                    number,
                    str(number),
                    f"vdr-page:{number:064d}",
                    text="" if number % WITHOUT_TEXT == 0 else text,
                    grid=made.grid,
                )
                for number, text in enumerate(some, start=1)
            ]
            document = DocumentRecord(f"{start:06}.pdf", NO_FILE, len(some))
            index.add_document(document, records, list(made.pages(len(some))))


def cpu_ms(
    index: LateInteractionIndex, query: NDArray[np.float32], words: HybridQuery | None
) -> float:
    """CPU time of one search."""
    began = time.process_time()
    index.search(query, k=K, hybrid=words)
    return 1000 * (time.process_time() - began)


def places(hits: list[Hit]) -> set[tuple[str, int]]:
    """Source and page number."""
    return {(hit.source, hit.page_number) for hit in hits}


def overlap(
    index: LateInteractionIndex, query: NDArray[np.float32], words: HybridQuery | None
) -> float:
    """Share of the best pages of all that a search finds."""
    every = places(index.search(query, k=K, exhaustive=True, hybrid=words))
    return len(every & places(index.search(query, k=K, hybrid=words))) / K


def compare(
    index: LateInteractionIndex,
    questions: list[tuple[NDArray[np.float32], HybridQuery]],
    *,
    compared: int,
) -> None:
    """Print CPU times, and the overlap of the first ``compared`` questions."""
    for query, words in questions[:2]:  # the first searches read lists
        index.search(query, k=K, hybrid=words)
    pairs = [
        (cpu_ms(index, query, None), cpu_ms(index, query, words)) for query, words in questions
    ]
    without, with_words = zip(*pairs, strict=True)
    more = statistics.median(after - before for before, after in pairs)
    print(f"without words: median {statistics.median(without):.1f} ms CPU")
    print(f"hybrid:        median {statistics.median(with_words):.1f} ms CPU")
    print(f"median of {len(pairs)} differences: {more:.1f} ms CPU")
    if compared:
        some = questions[:compared]
        plain = statistics.fmean(overlap(index, query, None) for query, _ in some)
        hybrid = statistics.fmean(overlap(index, query, words) for query, words in some)
        print(f"overlap@{K} of {compared} questions: {plain:.3f}, hybrid {hybrid:.3f}")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=28, help="of tokens of a page, 26 in each")
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--compared", type=int, default=20, help="questions to compare all pages")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}")
    made = SyntheticPages(rows=arguments.rows, dimension=DIMENSION)
    asked = texts(arguments.questions, ASKED, seed=1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "index"
        write(folder, made, texts(arguments.pages, WORDS, seed=0))
        with LateInteractionIndex.open(folder) as index:
            questions = [(made.query(), HybridQuery(text)) for text in asked]
            compare(index, questions, compared=arguments.compared)


if __name__ == "__main__":
    main()
