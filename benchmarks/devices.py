"""Pages per second on two devices beside one: CPU processes of one thread each.

OMP_NUM_THREADS=1 python -m benchmarks.devices [--model nano] [--runs 5]

Encodes the demo's pages, and indexes the demo's documents with ``sync_index`` into a new index each
time. One is the model in this process; two are ``device="cpu,cpu"``. Pairs are interleaved; the
ratios are their medians. The processes are started before the first pair. The last line is what it
takes to send a page of 768 visual tokens through a pipe, and through shared memory.
"""

from __future__ import annotations

import argparse
import mmap
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.sample_pages import DOCUMENTS
from benchmarks.timing import cpu_s_of_all, machine
from vdr_integrations import DenseEncoder, load_encoder, open_pdf
from vdr_integrations.encoders.elsewhere.pipe_messages import Reader, write_message
from vdr_integrations.index import DenseIndex, LateInteractionIndex, Manifest, sync_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdr_integrations import MultiVectorEncoder
    from vdr_integrations.types import PageImage

    _Encoder = DenseEncoder | MultiVectorEncoder

_PAGE = (28 * 28, 28 * 27, 3)
_SENT = 100


def main() -> None:
    """Print how much faster two processes are than one, and what a pipe costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    if torch.get_num_threads() != 1:
        parser.error("set OMP_NUM_THREADS=1: one process of one thread is what two are compared to")
    one, two = (load_encoder(options.model, device=device) for device in ("cpu", "cpu,cpu"))
    pages = _pages(one)

    def encode(encoder: _Encoder) -> None:
        encoder.encode_pages(pages)

    _compare("encode_pages", encode, one, two, runs=options.runs)
    _compare("sync_index", _index, one, two, runs=options.runs)
    print(
        f"a page of 768 visual tokens: {1e3 * _pipe_s():.2f} ms through a pipe, "
        f"{1e3 * _shared_s():.2f} ms through shared memory"
    )


def _compare(
    name: str, work: Callable[[_Encoder], None], one: _Encoder, two: _Encoder, *, runs: int
) -> None:
    for encoder in (one, two):
        work(encoder)
    found = [(_seconds(work, one), _seconds(work, two)) for _ in range(runs)]
    ratios = [alone[0] / both[0] for alone, both in found]
    alone, both = (statistics.median(pair[n][0] for pair in found) for n in (0, 1))
    cpu = statistics.median(both[1] / alone[1] for alone, both in found)
    print(
        f"{name}: one {alone:.2f} s, two {both:.2f} s; two are {statistics.median(ratios):.2f} "
        f"times as fast ({', '.join(f'{ratio:.2f}' for ratio in ratios)}), in {cpu:.2f} times the "
        f"CPU time",
        flush=True,
    )


def _pages(encoder: _Encoder) -> list[PageImage]:
    pages: list[PageImage] = []
    for path in sorted(DOCUMENTS.glob("*.pdf")):
        with open_pdf(path) as document:
            pages += [page.to_image(encoder.pixel_budget) for page in document]
    return pages


def _index(encoder: _Encoder) -> None:
    kind = DenseIndex if isinstance(encoder, DenseEncoder) else LateInteractionIndex
    with (
        tempfile.TemporaryDirectory() as folder,
        kind.create(Path(folder) / "index", manifest=Manifest.of(encoder)) as index,
    ):
        sync_index(index, encoder, [DOCUMENTS])


def _seconds(work: Callable[[_Encoder], None], encoder: _Encoder) -> tuple[float, float]:
    """Wall time, and CPU time of all processes, in seconds."""
    cpu, wall = cpu_s_of_all(), time.perf_counter()
    work(encoder)
    return time.perf_counter() - wall, cpu_s_of_all() - cpu


def _pipe_s() -> float:
    """Wall time of a page through a pipe, in seconds; both ends are threads of this process."""
    page = np.zeros(_PAGE, np.uint8)
    reads, writes = os.pipe()
    reader = Reader(reads)

    def receive() -> None:
        for _ in range(_SENT):
            reader.read()

    receiver = threading.Thread(target=receive)
    began = time.perf_counter()
    receiver.start()
    for _ in range(_SENT):
        write_message(writes, {}, [page])
    receiver.join()
    return (time.perf_counter() - began) / _SENT


def _shared_s() -> float:
    """Wall time of a page into shared memory and out of it, in seconds."""
    page = np.zeros(_PAGE, np.uint8)
    with mmap.mmap(-1, page.nbytes) as shared:
        there = np.frombuffer(shared, np.uint8).reshape(_PAGE)
        began = time.perf_counter()
        for _ in range(_SENT):
            there[:] = page
            there.copy()
        seconds = (time.perf_counter() - began) / _SENT
        del there
    return seconds


if __name__ == "__main__":
    main()
