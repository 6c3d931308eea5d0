"""Pages per second from PDFs to vectors in an index: with processes with limits, and without.

python -m benchmarks.index_documents [--model nano] [--runs 5]

``sync_index`` over the demo's documents, into a new index each time. Pairs are interleaved; the
ratios are their medians. CPU time is that of this process and of those it started; the process is
started before the first pair.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.sample_pages import DOCUMENTS
from benchmarks.timing import cpu_s_of_all, machine
from vdr_integrations import DenseEncoder, load_encoder
from vdr_integrations.index import DenseIndex, Manifest, sync_index


def pages_and_seconds(
    encoder: DenseEncoder, render_workers: int | None
) -> tuple[int, float, float]:
    """Number of pages, wall time and CPU time of one run."""
    with (
        tempfile.TemporaryDirectory() as folder,
        DenseIndex.create(Path(folder) / "index", manifest=Manifest.of(encoder)) as index,
    ):
        cpu, wall = cpu_s_of_all(), time.perf_counter()
        report = sync_index(index, encoder, [DOCUMENTS], render_workers=render_workers)
        return report.pages_encoded, time.perf_counter() - wall, cpu_s_of_all() - cpu


def main() -> None:
    """Print the two speeds and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    encoder = load_encoder(options.model)
    if not isinstance(encoder, DenseEncoder):
        parser.error("--model: give a dense checkpoint")
    pages_and_seconds(encoder, None)
    wall_ratios: list[float] = []
    cpu_ratios: list[float] = []
    speeds: list[tuple[float, float]] = []
    for _ in range(options.runs):
        pages, here_s, here_cpu_s = pages_and_seconds(encoder, 0)
        _, limited_s, limited_cpu_s = pages_and_seconds(encoder, None)
        wall_ratios.append(here_s / limited_s)
        cpu_ratios.append(limited_cpu_s / here_cpu_s)
        speeds.append((pages / limited_s, pages / here_s))
    limited, here = (statistics.median(column) for column in zip(*speeds, strict=True))
    print(
        f"{pages} pages: {limited:.2f} pages/s with limits, {here:.2f} in this process; "
        f"{statistics.median(wall_ratios):.3f} times the speed, "
        f"{statistics.median(cpu_ratios):.3f} times the CPU time"
    )


if __name__ == "__main__":
    main()
