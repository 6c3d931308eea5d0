"""CPU time of PDF pages that processes with limits draw, beside drawing them in this process.

python -m benchmarks.render_ahead [--pages 200] [--runs 5] [--workers 0 1 2]

The demo's documents, opened one after the other, again and again, at 768 visual tokens: image,
label and text of each page. Nothing is encoded at the same time. Pairs are interleaved; the ratio
is their median. CPU time is that of this process and of those it started, which are started before.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import cycle
from typing import TYPE_CHECKING

from benchmarks.sample_pages import DOCUMENTS
from benchmarks.timing import cpu_s_of_all, machine
from vdr_integrations import open_pdf
from vdr_integrations.pages.drawing.draw_ahead import ahead, look_ahead, own_lane
from vdr_integrations.pages.process_limits import DEFAULT_PROCESS_LIMITS, ProcessLimits
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdr_integrations.pages import PdfPage


def draw(pages: int, workers: int, limits: ProcessLimits | None, documents: str) -> None:
    """Draw pages of documents that are opened and closed."""
    done = 0

    def some_pages() -> Iterator[PdfPage]:
        nonlocal done
        for path in cycle(sorted(DOCUMENTS.glob(documents))):
            with open_pdf(path, process_limits=limits) as document:
                for page in document:
                    if done == pages:
                        return
                    done += 1
                    yield page

    with own_lane(max(workers, 1)) as lane:
        drawn = (page.begin(PixelBudget(), lane=lane) for page in some_pages())
        for page in look_ahead(drawn, ahead(workers)):
            page()


def seconds(
    pages: int, workers: int, limits: ProcessLimits | None, documents: str
) -> tuple[float, float]:
    """CPU and wall time of drawing; processes are started before."""
    draw(4 * max(workers, 1), workers, limits, documents)
    cpu, wall = cpu_s_of_all(), time.perf_counter()
    draw(pages, workers, limits, documents)
    return cpu_s_of_all() - cpu, time.perf_counter() - wall


def main() -> None:
    """Print a line for each number of processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--documents", default="*.pdf", help="Pattern of the demo's documents.")
    options = parser.parse_args()
    print(machine())
    for workers in options.workers:
        cpu_ratios: list[float] = []
        speeds: list[tuple[float, float]] = []
        for _ in range(options.runs):
            here = seconds(options.pages, 0, None, options.documents)
            elsewhere = seconds(options.pages, workers, DEFAULT_PROCESS_LIMITS, options.documents)
            cpu_ratios.append(elsewhere[0] / here[0])
            speeds.append((options.pages / here[1], options.pages / elsewhere[1]))
        here_speed, speed = (statistics.median(column) for column in zip(*speeds, strict=True))
        print(
            f"{workers or 'no'} ahead: {statistics.median(cpu_ratios):.3f} times the CPU time; "
            f"{speed:.0f} pages/s, in this process {here_speed:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
