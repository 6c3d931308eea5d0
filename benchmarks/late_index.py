"""A late-interaction index in a folder: bytes a page, ingest, search, and what two stages miss.

    python -m benchmarks.late_index --pages 2000 --queries 20

Synthetic pages of 736 tokens, see ``synthetic_pages``. For each compression: bytes a page on disk,
seconds to add a page, seconds a search takes in two stages and exhaustively, the share of the ten
best pages of the default index, searched exhaustively, that the other searches find (on made-up
pages: it says nothing about the quality of pooling on real ones).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

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
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--only-default", action="store_true", help="skip the other compressions")
    options = parser.parse_args()
    print(machine())
    made = SyntheticPages()
    queries = [made.query() for _ in range(options.queries)]
    best: list[set[tuple[str, int]]] = []
    for compression in _COMPRESSIONS[: 1 if options.only_default else None]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "index"
            with LateInteractionIndex.create(
                path, manifest=_manifest(made), compression=compression
            ) as index:
                seconds = _add(index, options.pages)
                index.optimize()
            # Closed, because until then what was optimised is there twice.
            size = _bytes(path / "shard" / "segments") / options.pages
            log = _bytes(path / "shard" / "wal") / 1e6
            print(f"{compression}: {size:,.0f} bytes a page on disk and a log of {log:.0f} MB,")
            print(f"  added in {1000 * seconds / options.pages:.1f} ms a page")
            with LateInteractionIndex.open(path) as index:
                best = _search(index, queries, best)


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


def _bytes(folder: Path) -> int:
    """What the files take on disk."""
    return sum(512 * path.stat().st_blocks for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
