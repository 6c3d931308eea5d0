"""Several folders as one index: its speed, memory and quality; all figures in one run.

    python -m benchmarks.shards FOLDER --shards 10 --pages 10000 --one
    nice -n 19 python -m benchmarks.shards FOLDER --shards 10 --pages 100000 --processes 2

Makes the folders that are missing: synthetic pages of 245 tokens (what is left of 735 tokens after
token pooling by 3) in 8-bit numbers, with a text layer of 60 words, 50 pages a document. With
``--one``, also one index that holds all pages. Then, in new processes that only read: seconds to
open and until the first answer; CPU and wall milliseconds of searches of the first folder, of all,
and of the one index (p50 and p95); how many of the ten best pages of an exhaustive search two
stages find, for the first ``--sample`` questions; memory that is not a mapped file, and all memory.
FOLDER is kept.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.timing import machine
from vdr_integrations.index import (
    Compression,
    DocumentRecord,
    FileState,
    HybridQuery,
    LateInteractionIndex,
    Manifest,
    PageRecord,
    open_index,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.types import Hit

    Search = Callable[[int], list[Hit]]

_K = 10
_DIMENSION = 128
_TOKENS = 245
_WORDS_OF_PAGE = 60
_PAGES_OF_DOCUMENT = 50
_VOCABULARY = 4000
_TOPICS = 400
_WORDS_OF_TOPIC = 150
_MANIFEST = Manifest("0" * 64, "benchmark", None, _DIMENSION, 768)
_COMPRESSION = Compression(vectors="int8")


def main() -> None:
    """Make what is missing, and search it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shards", type=int, default=10)
    parser.add_argument("--pages", type=int, default=10_000, help="of each shard")
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--sample", type=int, default=10, help="questions asked exhaustively")
    parser.add_argument("--one", action="store_true", help="also one index of all pages")
    parser.add_argument("--processes", type=int, default=1, help="that make folders")
    parser.add_argument("--read", nargs="+", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        _read(options.read, queries=options.queries, sample=options.sample)
        return
    print(machine(), flush=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    shards = [options.folder / f"shard-{number:02}" for number in range(options.shards)]
    work = [(shard, [number], options.pages) for number, shard in enumerate(shards)]
    one = options.folder / "one"
    if options.one:
        work.append((one, list(range(options.shards)), options.pages))
    with get_context("spawn").Pool(options.processes) as pool:
        for line in pool.imap_unordered(_build, work):
            print(line, flush=True)
    for places in (shards[:1], shards, *([[one]] if options.one else ())):
        command = [sys.executable, "-m", "benchmarks.shards", str(options.folder)]
        command += ["--queries", str(options.queries), "--sample", str(options.sample)]
        subprocess.run([*command, "--read", *map(str, places)], check=True)  # noqa: S603  # this


class _Pages:
    """Pages and questions over one vocabulary, as in ``synthetic_pages``, many at a time."""

    def __init__(self, *, seed: int) -> None:
        shared = np.random.default_rng(0)
        self._common = _unit(shared.standard_normal((1, _DIMENSION), np.float32))
        self._words = _unit(shared.standard_normal((_VOCABULARY, _DIMENSION), np.float32))
        self._topics = np.stack(
            [shared.choice(_VOCABULARY, _WORDS_OF_TOPIC, replace=False) for _ in range(_TOPICS)]
        )
        self._names = [f"word{number}" for number in range(_VOCABULARY)]
        self._random = np.random.default_rng([seed, 1])

    def batch(self, count: int) -> tuple[NDArray[np.float32], list[str]]:
        """float32 (count, tokens, dimension), rows of length 1, and the texts of the pages."""
        draw = self._random
        topics = self._topics[draw.integers(_TOPICS, size=count)]
        picks = draw.integers(_WORDS_OF_TOPIC, size=(count, _TOKENS))
        words = np.take_along_axis(topics, picks, axis=1)
        other = draw.random((count, _TOKENS), np.float32) > 0.7
        words[other] = draw.integers(_VOCABULARY, size=int(other.sum()))
        rows = self._words[words] + 0.6 * self._common
        empty = draw.random((count, _TOKENS), np.float32) < 0.1
        rows[empty] = self._common
        rows += self._noise((count, _TOKENS), 0.7)
        texts = [
            " ".join(self._names[word] for word in page[:_WORDS_OF_PAGE]) for page in words.tolist()
        ]
        return _unit(rows), texts

    def questions(self, count: int) -> list[tuple[NDArray[np.float32], str]]:
        """Token vectors, float32 (20, dimension), and words."""
        draw, found = self._random, []
        for _ in range(count):
            topic = self._topics[draw.integers(_TOPICS)]
            asked = draw.choice(topic, 8)
            rows = self._words[asked] + 0.6 * self._common + self._noise((8,), 1.0)
            around = self._common + 0.5 * self._words[draw.choice(topic, 12)]
            around = around + self._noise((12,), 0.6)
            names = " ".join(self._names[word] for word in asked.tolist())
            found.append((_unit(np.vstack([rows, around])), names))
        return found

    def _noise(self, shape: tuple[int, ...], length: float) -> NDArray[np.float32]:
        noise = self._random.standard_normal((*shape, _DIMENSION), np.float32)
        return noise * np.float32(length / _DIMENSION**0.5)


def _unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def _build(work: tuple[Path, list[int], int]) -> str:
    place, numbers, count = work
    began = time.process_time(), time.perf_counter()
    made = open_index(place) if place.exists() else _empty(place)
    known = {one.source for one in made.documents()}
    with made as index:
        for source, (vectors, texts) in _documents(numbers, count):
            if source in known:
                continue
            records = [
                PageRecord(n, str(n), f"vdr-page:{n:064d}", text=text)
                for n, text in enumerate(texts, start=1)
            ]
            document = DocumentRecord(source, FileState("0" * 64, 1, 2, 3), len(texts))
            index.add_document(document, records, list(vectors))
        pages = index.count_pages()
    size = sum(512 * file.stat().st_blocks for file in place.iterdir())
    return (
        f"{place.name}: {pages:,} pages, {size / pages / 1000:.1f} kB a page on disk; "
        f"{1000 * (time.process_time() - began[0]) / pages:.2f} ms CPU and "
        f"{1000 * (time.perf_counter() - began[1]) / pages:.2f} ms a page to make"
    )


def _empty(place: Path) -> LateInteractionIndex:
    return LateInteractionIndex.create(place, manifest=_MANIFEST, compression=_COMPRESSION)


def _documents(
    numbers: Sequence[int], count: int
) -> Iterator[tuple[str, tuple[NDArray[np.float32], list[str]]]]:
    for number in numbers:
        pages = _Pages(seed=number)
        for first in range(0, count, _PAGES_OF_DOCUMENT):
            batch = pages.batch(min(_PAGES_OF_DOCUMENT, count - first))
            yield f"{number:02}-{first:07}.pdf", batch


def _read(places: Sequence[Path], *, queries: int, sample: int) -> None:
    """Open and search, in a process that has done nothing else."""
    questions = _Pages(seed=1_000_000).questions(queries)
    for place in places[:1]:
        open_index(place).close()  # imports what is needed
    began = time.perf_counter()
    index: Any = open_index(places)
    opened = time.perf_counter() - began
    index.search(questions[0][0], k=_K)
    answered = time.perf_counter() - began
    print(
        f"{len(places)} folders, {places[0].name} ..., {index.count_pages():,} pages: opened in "
        f"{opened:.2f} s, first answer after {answered:.2f} s",
        flush=True,
    )

    def vectors(number: int, **options: Any) -> list[Hit]:  # noqa: ANN401  # of a search
        return index.search(questions[number][0], k=_K, **options)

    def hybrid(number: int) -> list[Hit]:
        return vectors(number, hybrid=HybridQuery(questions[number][1]))

    def words(number: int) -> list[Hit]:
        return index.search_text(questions[number][1], k=_K)

    first = _say("the first time", vectors, queries)
    _say("again", vectors, queries)
    _say_memory("after these searches")
    began = time.perf_counter()
    words(0)
    print(f"  words of all pages read in {time.perf_counter() - began:.1f} s", flush=True)
    _say("words", words, queries)
    _say("hybrid", hybrid, queries)
    _say_memory("after text searches")
    if sample:
        best = _say("exhaustive", partial(vectors, exhaustive=True), min(sample, queries))
        found = [
            len({_place(hit) for hit in mine} & {_place(hit) for hit in theirs}) / _K
            for mine, theirs in zip(first, best, strict=False)
        ]
        print(f"  overlap@{_K} {statistics.mean(found):.3f} of {len(found)} questions", flush=True)


def _say(name: str, search: Search, count: int) -> list[list[Hit]]:
    cpu: list[float] = []
    wall: list[float] = []
    found: list[list[Hit]] = []
    for number in range(count):
        began = time.process_time(), time.perf_counter()
        found.append(search(number))
        cpu.append(1000 * (time.process_time() - began[0]))
        wall.append(1000 * (time.perf_counter() - began[1]))
    print(
        f"  {name:16} CPU p50 {statistics.median(cpu):8.1f} ms, wall p50 "
        f"{np.percentile(wall, 50):8.1f} p95 {np.percentile(wall, 95):8.1f} ms",
        flush=True,
    )
    return found


def _say_memory(when: str) -> None:
    """Resident memory (Linux): what no file stands behind, and all."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = {
        line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("Rss", "VmR"))
    }
    own, every = (int(sizes[name]) / 1000 for name in ("RssAnon", "VmRSS"))
    print(f"  {when}: {own:,.0f} MB that are not mapped files, {every:,.0f} MB in all", flush=True)


def _place(hit: Hit) -> tuple[str, int]:
    return hit.source, hit.page_number


if __name__ == "__main__":
    main()
