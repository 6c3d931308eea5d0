"""A late-interaction index in a folder: its size, speed and quality; all figures in one run.

    python -m benchmarks.late_index --pages 1000 10000
    python -m benchmarks.late_index --pages 100000 --folder big --queries 20
    python -m benchmarks.late_index --pdfs FOLDER --questions questions.jsonl

Synthetic pages of 736 tokens (``synthetic_pages``), or the pages of PDFs, encoded with
nano-colqwen2, and questions about them (JSON lines with "question"). For each number of pages:
milliseconds of CPU to add a page, and the part of the centroids in it; bytes per page on disk.
Then, in a new process that only reads: seconds to open and until the first answer; CPU and wall
milliseconds of a search in two stages (the first time, and again) and exhaustively (medians, and
the 95th percentile); how many of the ten best pages of the exhaustive search two stages find;
memory that is not a mapped file. ``--compressions`` does this for each way to store vectors. The
folder that ``--folder`` names is kept; if it exists already, it is searched as it is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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
from vdr_integrations.index.scoring.first_stage import Codebook

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.types import Hit, PatchGrid

    Page = tuple[NDArray[np.float32], PatchGrid]

_PAGES_OF_DOCUMENT = 50
_K = 10
_COMPRESSIONS = (
    Compression(),
    Compression(vectors="float32"),
    Compression(vectors="int8"),
    Compression(token_pooling=2),
    Compression(token_pooling=3),
)


def main() -> None:
    """Build an index of each kind and search it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, nargs="+", default=[1000], help="synthetic ones")
    parser.add_argument("--topics", type=int, default=40, help="of synthetic pages")
    parser.add_argument("--queries", type=int, default=20, help="at most")
    parser.add_argument("--pdfs", type=Path, nargs="+", help="or folders of them, instead")
    parser.add_argument("--questions", type=Path, help="about them, JSON lines")
    parser.add_argument("--compressions", action="store_true", help="all, not only the default")
    parser.add_argument("--folder", type=Path, help="where the index is made, and kept")
    parser.add_argument("--no-maxsim", action="store_true", help="leave benchmarks.maxsim out")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read is not None:
        _read(options.read)
        return
    print(machine())
    if not options.no_maxsim:
        print_table(pages=500, rounds=7)
    chosen = _COMPRESSIONS[: None if options.compressions else 1]
    if options.pdfs:
        pages, queries = _real(options.pdfs, options.questions, options.queries)
        for compression in chosen:
            _measure(f"{len(pages)} real pages", pages, queries, compression, options.folder)
        return
    for count in options.pages:
        made = SyntheticPages(topics=options.topics)
        queries = [made.query() for _ in range(options.queries)]
        for compression in chosen:
            pages = _synthetic(count, options.topics)
            name = f"{count} synthetic pages of {options.topics} topics"
            _measure(name, pages, queries, compression, options.folder)


def _measure(
    name: str,
    pages: Iterable[Page],
    queries: Sequence[NDArray[np.float32]],
    compression: Compression,
    folder: Path | None,
) -> None:
    print(f"{name}, {compression}:", flush=True)
    with _place(folder) as place:
        path = place / "index"
        if not path.exists():
            _build(path, pages, compression, dimension=queries[0].shape[1])
        asked = place / "queries.npz"
        np.savez(asked, *queries)
        command = [sys.executable, "-m", "benchmarks.late_index", "--read", str(place)]
        subprocess.run(command, check=True)  # noqa: S603  # this file


@contextmanager
def _place(folder: Path | None) -> Generator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def _build(path: Path, pages: Iterable[Page], compression: Compression, *, dimension: int) -> None:
    manifest = Manifest("0" * 64, "benchmark", None, dimension, 768)
    centroids = _Stopwatch()
    assign = Codebook.assign
    make = Codebook.of
    Codebook.assign = centroids.timed(assign)  # type: ignore[method-assign]
    Codebook.of = centroids.timed(make)  # type: ignore[method-assign]
    state, count, seconds, longest = FileState("0" * 64, 1, 2, 3), 0, 0.0, 0.0
    try:
        with LateInteractionIndex.create(path, manifest=manifest, compression=compression) as index:
            for number, batch in enumerate(_batches(pages)):
                records = [
                    PageRecord(n, str(n), f"vdr-page:{n:064d}", grid=grid)
                    for n, (_, grid) in enumerate(batch, start=1)
                ]
                document = DocumentRecord(f"{number:06}.pdf", state, len(batch))
                began = time.process_time()
                index.add_document(document, records, [vectors for vectors, _ in batch])
                spent = time.process_time() - began
                count, seconds, longest = count + len(batch), seconds + spent, max(longest, spent)
    finally:
        Codebook.assign, Codebook.of = assign, make  # type: ignore[method-assign]
    size = sum(512 * file.stat().st_blocks for file in path.iterdir())
    print(
        f"  added in {1000 * (seconds - centroids.seconds) / count:.1f} ms CPU a page, and "
        f"{1000 * centroids.seconds / count:.1f} for centroids; the slowest document "
        f"{longest:.1f} s CPU"
    )
    print(f"  {size / count / 1000:,.1f} kB a page on disk", flush=True)


class _Stopwatch:
    """CPU seconds in some functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            began = time.process_time()
            try:
                return function(*args, **options)
            finally:
                self.seconds += time.process_time() - began

        return call


def _read(place: Path) -> None:
    """Open and search, in a process that has done nothing else."""
    queries = list(np.load(place / "queries.npz").values())
    LateInteractionIndex.open(place / "index").close()  # imports what is needed
    began = time.perf_counter()
    index = LateInteractionIndex.open(place / "index")
    opened = time.perf_counter() - began
    index.search(queries[0], k=_K)
    answered = time.perf_counter() - began
    print(f"  opened in {opened:.3f} s, first answer after {answered:.2f} s", flush=True)
    first = _timed(queries, partial(index.search, k=_K))
    two = _timed(queries, partial(index.search, k=_K))
    anonymous = _anonymous_bytes()
    exhaustive = _timed(queries, partial(index.search, k=_K, exhaustive=True))
    best = [_places(hits) for hits in exhaustive[2]]
    _say("the first time", first, best)
    _say("two stages", two, best)
    for candidates in (100, 200, 400, 800, 1600):
        if candidates < index.count_pages() / 2:
            search = partial(index.search, k=_K, candidates=candidates)
            _say(f"{candidates} candidates", _timed(queries, search), best)
    _say("exhaustive", exhaustive, best)
    print(f"  {anonymous / 1e6:,.0f} MB of memory that is not a mapped file", flush=True)


def _timed(
    queries: Sequence[NDArray[np.float32]], search: Callable[[NDArray[np.float32]], list[Hit]]
) -> tuple[list[float], list[float], list[list[Hit]]]:
    """CPU and wall milliseconds, and what was found."""
    search(queries[0])
    cpu: list[float] = []
    wall: list[float] = []
    found: list[list[Hit]] = []
    for query in queries:
        began = time.process_time(), time.perf_counter()
        found.append(search(query))
        cpu.append(1000 * (time.process_time() - began[0]))
        wall.append(1000 * (time.perf_counter() - began[1]))
    return cpu, wall, found


def _say(
    name: str,
    timed: tuple[list[float], list[float], list[list[Hit]]],
    best: list[set[tuple[str, int]]],
) -> None:
    cpu, wall, found = timed
    shares = [len(_places(hits) & wanted) / _K for hits, wanted in zip(found, best, strict=True)]
    print(
        f"  {name:16} {statistics.median(cpu):8.1f} ms CPU, wall p50 {np.percentile(wall, 50):7.1f}"
        f" p95 {np.percentile(wall, 95):7.1f}, overlap@{_K} {statistics.mean(shares):.3f}",
        flush=True,
    )


def _places(hits: list[Hit]) -> set[tuple[str, int]]:
    return {(hit.source, hit.page_number) for hit in hits}


def _anonymous_bytes() -> int:
    """Resident memory that no file stands behind (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith("RssAnon"))
    return 1024 * int(found)


def _synthetic(count: int, topics: int) -> Iterator[Page]:
    made = SyntheticPages(topics=topics)
    for vectors in made.pages(count):
        yield vectors, made.grid


def _real(
    paths: Sequence[Path], questions: Path | None, most: int
) -> tuple[list[Page], list[NDArray[np.float32]]]:
    """Pages of PDFs and questions about them, encoded."""
    from vdr_integrations import load_encoder, open_pdf
    from vdr_integrations.pages import find_documents

    encoder = load_encoder("nano-colqwen2")
    pages: list[Page] = []
    for path in find_documents(paths):
        if path.suffix.lower() != ".pdf":
            continue
        with open_pdf(path) as document:
            images = [page.render(encoder.pixel_budget) for page in document]
        grids = [encoder.page_layout(image.height, image.width) for image in images]
        pages += zip(encoder.encode_pages(images), grids, strict=True)
    if questions is None:
        asked = [f"What does page {number} say?" for number in range(most)]
    else:
        asked = [json.loads(line)["question"] for line in questions.read_text().splitlines()]
    step = max(1, len(asked) // most)
    return pages, list(encoder.encode_queries(asked[::step][:most]))


def _batches(pages: Iterable[Page]) -> Iterator[list[Page]]:
    batch: list[Page] = []
    for page in pages:
        batch.append(page)
        if len(batch) == _PAGES_OF_DOCUMENT:
            yield batch
            batch = []
    if batch:
        yield batch


if __name__ == "__main__":
    main()
