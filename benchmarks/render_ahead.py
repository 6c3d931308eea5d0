"""PDF pages that processes draw per second: wall time, median of several runs.

python -m benchmarks.render_ahead [--pages 200] [--runs 5] [--workers 0 1 2]

The demo's documents, repeated, at 768 visual tokens. Nothing is encoded at the same time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

from benchmarks.sample_pages import DOCUMENTS
from benchmarks.timing import machine
from vdr_integrations import open_pdf
from vdr_integrations.pages import render_ahead
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdr_integrations.pages import PdfPage


def some_pages(count: int) -> Iterator[PdfPage]:
    """Pages of the demo's documents, from the beginning again when they end."""
    done = 0
    while True:
        for path in sorted(DOCUMENTS.glob("*.pdf")):
            for page in open_pdf(path):
                if done == count:
                    return
                done += 1
                yield page


def seconds(pages: int, workers: int) -> float:
    """Wall time of drawing, the processes' start left out."""
    drawn = render_ahead(some_pages(pages + 1), budget=PixelBudget(), workers=workers)
    next(drawn)
    began = time.perf_counter()
    for _ in drawn:
        pass
    return time.perf_counter() - began


def main() -> None:
    """Print a line for each number of processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    print(machine())
    for workers in options.workers:
        took = statistics.median(seconds(options.pages, workers) for _ in range(options.runs))
        print(f"{workers} processes: {options.pages / took:.0f} pages/s", flush=True)


if __name__ == "__main__":
    main()
