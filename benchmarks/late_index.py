"""MaxSim, and a late-interaction index in a folder: all figures of late interaction in one run.

    python -m benchmarks.late_index --pages 1000 10000 --queries 20

Synthetic pages of 736 tokens, see ``synthetic_pages``. First ``benchmarks.maxsim``. Then, for each
number of pages: bytes a page on disk, milliseconds to add a page, milliseconds a search takes in
two stages and exhaustively, the share of the ten best pages of the exhaustive search that two
stages find, and the memory of the process that holds the index (RSS, with the pages of files that
it has mapped). ``--compressions`` does so for each compression in turn; overlap is with the
default's exhaustive search (on made-up pages: ``benchmarks.compression`` asks real ones).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.maxsim import print_table
from benchmarks.synthetic_pages import SyntheticPages
from benchmarks.timing import machine
from vdr_integrations.index import (
    Compression,
    DocumentRecord,
    FileState,
    LateInteractionIndex,
    Manifest,
    PageRecord,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.types import Hit

_PAGES_OF_DOCUMENT = 50
_K = 10
_COMPRESSIONS = (
    Compression(),
    Compression(vectors="float32"),
    Compression(token_pooling=2),
    Compression(token_pooling=3),
    Compression(quantization="int8"),
    Compression(quantization="binary"),
)


def main() -> None:
    """Build an index of each kind and search it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, nargs="+", default=[1000])
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--compressions", action="store_true", help="all, not only the default")
    options = parser.parse_args()
    print(machine(), f"qdrant-edge-py {version('qdrant-edge-py')}", sep=", ")
    print_table(pages=500, rounds=7)
    for pages in options.pages:
        _measure(pages, options.queries, _COMPRESSIONS[: None if options.compressions else 1])


def _measure(pages: int, query_count: int, compressions: Sequence[Compression]) -> None:
    made = SyntheticPages()
    queries = [made.query() for _ in range(query_count)]
    best: list[set[tuple[str, int]]] = []
    for compression in compressions:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "index"
            with LateInteractionIndex.create(
                path, manifest=_manifest(made), compression=compression
            ) as index:
                seconds = _add(index, pages)
                index.optimize()
            # Closed, because until then what was optimised is there twice.
            size = _bytes(path / "shard" / "segments") / pages
            log = _bytes(path / "shard" / "wal") / 1e6
            print(f"{pages} pages, {compression}:")
            print(f"  {size / 1000:,.0f} kB a page on disk, and a log of {log:.0f} MB")
            print(f"  added in {1000 * seconds / pages:.1f} ms a page")
            with LateInteractionIndex.open(path) as index:
                best = _search(index, queries, best)
                print(f"  memory of the index's process {_memory_of_children() / 1e6:,.0f} MB")


def _search(
    index: LateInteractionIndex,
    queries: Sequence[NDArray[np.float32]],
    best: list[set[tuple[str, int]]],
) -> list[set[tuple[str, int]]]:
    """Time and compare; the first index searched exhaustively says which pages are the best."""
    exhaustive = _timed(queries, partial(index.search, k=_K, exhaustive=True))
    best = best or [_places(hits) for hits in exhaustive[1]]
    _say("exhaustive", exhaustive, best)
    for candidates in (100, 300, 600):
        search = partial(index.search, k=_K, candidates=candidates)
        _say(f"{candidates} candidates", _timed(queries, search), best)
    _say("default", _timed(queries, partial(index.search, k=_K)), best)
    return best


def _manifest(made: SyntheticPages) -> Manifest:
    return Manifest("0" * 64, "synthetic", None, 128, made.grid.cells)


def _add(index: LateInteractionIndex, count: int) -> float:
    """Add the same pages as every time; seconds it took beside making them."""
    made, seconds = SyntheticPages(), 0.0
    state = FileState("0" * 64, 1, 2, 3)
    for start in range(0, count, _PAGES_OF_DOCUMENT):
        vectors = list(made.pages(min(_PAGES_OF_DOCUMENT, count - start)))
        pages = [PageRecord(n, str(n), "", grid=made.grid) for n in range(1, len(vectors) + 1)]
        began = time.perf_counter()
        index.add_document(DocumentRecord(f"{start:06}.pdf", state, len(pages)), pages, vectors)
        seconds += time.perf_counter() - began
    return seconds


def _timed(
    queries: Sequence[NDArray[np.float32]], search: Callable[[NDArray[np.float32]], list[Hit]]
) -> tuple[float, list[list[Hit]]]:
    search(queries[0])
    seconds: list[float] = []
    found: list[list[Hit]] = []
    for query in queries:
        began = time.perf_counter()
        found.append(search(query))
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), found


def _places(hits: list[Hit]) -> set[tuple[str, int]]:
    return {(hit.source, hit.page_number) for hit in hits}


def _say(name: str, timed: tuple[float, list[list[Hit]]], best: list[set[tuple[str, int]]]) -> None:
    seconds, found = timed
    shares = [len(_places(hits) & wanted) / _K for hits, wanted in zip(found, best, strict=True)]
    print(f"  {name:15} {1000 * seconds:8.1f} ms, overlap@{_K} {statistics.mean(shares):.3f}")


def _memory_of_children() -> int:
    return sum(child.memory_info().rss for child in psutil.Process().children())


def _bytes(folder: Path) -> int:
    """What the files take on disk."""
    return sum(512 * path.stat().st_blocks for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
