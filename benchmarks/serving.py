"""One model for many processes, beside the same work in one process.

    python -m benchmarks.serving [--model nano] [--pairs 5] [--pages 2] [--queries 64]
    python -m benchmarks.serving --wire

Eight processes with eight async callers each use one ``vdr serve``; beside them, 64 async callers
use the model in their own process. Each caller encodes its pages one after the other; then all do
the same with queries. The clock runs from the moment when all are ready to the last answer. CPU
seconds are those of all processes that take part. A line says how many requests shared a pass.

``--wire`` compares ways to send the pixels of a page: bytes and CPU time of both ends.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import re
import statistics
import subprocess
import sys
import time
import zlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import numpy as np
import psutil
from PIL import Image

from benchmarks.sample_pages import sample_pages
from benchmarks.timing import machine
from vdr_integrations import load_encoder
from vdr_integrations.encoders.elsewhere.plain_items import PlainPage
from vdr_integrations.encoders.elsewhere.wire import pages_body, pages_of, unpacked
from vdr_integrations.types import as_page

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from vdr_integrations import DenseEncoder, MultiVectorEncoder

_CALLERS = 64
_PROCESSES = 8
_MOST_BYTES = 1 << 30


class Took(NamedTuple):
    """What a round of work took.

    Attributes:
        wall_s: Seconds until the last caller was done.
        cpu_s: CPU seconds of all processes.
    """

    wall_s: float
    cpu_s: float


async def work(
    encoder: DenseEncoder | MultiVectorEncoder, *, callers: int, pages: int, queries: int
) -> float:
    """Seconds that some callers take, each for its pages and then its queries."""
    shown = [as_page(image).render(encoder.pixel_budget) for image in sample_pages(4)]

    async def one(caller: int) -> None:
        for n in range(pages):
            await encoder.aencode_pages([shown[(caller + n) % len(shown)]])
        for n in range(queries):
            await encoder.aencode_queries([f"question {n} of caller {caller}"])

    began = time.perf_counter()
    await asyncio.gather(*(one(n) for n in range(callers)))
    return time.perf_counter() - began


def part(options: argparse.Namespace) -> None:
    """One process of callers: it says that it is ready, waits, works, and says how long it took."""
    encoder = load_encoder(options.part)
    if options.queries:
        encoder.encode_queries(["once"])
    if options.pages:
        encoder.encode_pages(sample_pages(1))
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    took = asyncio.run(
        work(encoder, callers=options.callers, pages=options.pages, queries=options.queries)
    )
    print(json.dumps([took, time.process_time() - began]), flush=True)


def processes(model: str, *, kind: str, each: int, count: int, callers: int) -> list[Any]:
    """Start processes of callers, let them work together, and return what each one took."""
    command = [sys.executable, "-m", "benchmarks.serving", "--part", model]
    command += ["--callers", str(callers), "--pages", "0", "--queries", "0"]
    command += [f"--{kind}", str(each)]
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(  # noqa: S603  # this file
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(count)
        ]
        for one in started:
            if one.stdout is None or one.stdout.readline() != "ready\n":
                raise SystemExit("a process of callers did not start")
        for one in started:
            if one.stdin is not None:
                one.stdin.write("go\n")
                one.stdin.flush()
        return [json.loads(one.communicate()[0]) for one in started]


@contextmanager
def server(model: str) -> Generator[tuple[psutil.Process, str]]:
    """A process of ``vdr serve``, and its address."""
    command = [sys.executable, "-m", "vdr_integrations", "serve", "--model", model, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            for line in process.stderr or ():
                found = re.search(r" at (http://\S+)", line)
                if found:
                    yield psutil.Process(process.pid), found[1]
                    return
            raise SystemExit("vdr serve did not start")
        finally:
            process.terminate()


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds of a process until now."""
    times = process.cpu_times()
    return times.user + times.system


def compare(options: argparse.Namespace) -> None:
    """Print how long both ways take, in turn."""
    for kind, each in (("pages", options.pages), ("queries", options.queries)):
        if each:
            compare_one(options, kind, each)


def compare_one(options: argparse.Namespace, kind: str, each: int) -> None:
    """Print how long both ways take for pages, or for queries."""
    pairs: list[tuple[Took, Took]] = []
    with server(options.model) as (process, address):
        for _ in range(options.pairs):
            (took,) = processes(options.model, kind=kind, each=each, count=1, callers=_CALLERS)
            before = cpu_s(process)
            parts = processes(
                address, kind=kind, each=each, count=_PROCESSES, callers=_CALLERS // _PROCESSES
            )
            of_all = cpu_s(process) - before + sum(cpu for _, cpu in parts)
            pairs.append((Took(*took), Took(max(wall for wall, _ in parts), of_all)))
        counted = httpx.get(f"{address}/metrics").text
    here, there = (
        statistics.median(_CALLERS * each / pair[n].wall_s for pair in pairs) for n in (0, 1)
    )
    ratio = statistics.median(alone.wall_s / served.wall_s for alone, served in pairs)
    cpu = statistics.median(served.cpu_s / alone.cpu_s for alone, served in pairs)
    passes = _count(counted, "batch_requests_count", kind)
    requests = _count(counted, "batch_requests_sum", kind) / passes
    items = _count(counted, "batch_items_sum", kind) / passes
    print(
        f"{kind:8} {here:7.1f}/s in one process, {there:7.1f}/s served to {_PROCESSES}: ratio "
        f"{ratio:.2f}, CPU time of all processes {cpu:.2f} (medians of {len(pairs)} pairs); a pass "
        f"of the model served {requests:.1f} requests, {items:.1f} {kind}"
    )


def _count(counted: str, name: str, kind: str) -> float:
    line = re.search(rf'^vdr_{name}{{kind="{kind}"}} (\S+)$', counted, re.MULTILINE)
    return 0.0 if line is None else float(line[1])


def wire() -> None:
    """Print bytes and CPU time of ways to send pages."""
    budget = load_encoder("nano").pixel_budget
    pages = [PlainPage(np.asarray(as_page(image).render(budget))) for image in sample_pages(4)]

    def png(level: int) -> Callable[[PlainPage], bytes]:
        def save(page: PlainPage) -> bytes:
            file = io.BytesIO()
            Image.fromarray(page.pixels).save(file, format="PNG", compress_level=level)
            return file.getvalue()

        return save

    def opened(body: bytes) -> object:
        return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))

    ways: dict[str, tuple[Callable[[PlainPage], bytes], Callable[[bytes], object]]] = {
        "pixels": (lambda page: pages_body([page]), pages_of),
        "pixels, zlib 1": (
            lambda page: zlib.compress(pages_body([page]), 1),
            lambda body: pages_of(unpacked(body, most_bytes=_MOST_BYTES)),
        ),
        "PNG, level 1": (png(1), opened),
        "PNG, level 2": (png(2), opened),
    }
    for name, (pack, unpack) in ways.items():
        sizes, packing, unpacking = [], [], []
        for _ in range(9):
            for page in pages:
                began = time.process_time()
                body = pack(page)
                between = time.process_time()
                unpack(body)
                packing.append(between - began)
                unpacking.append(time.process_time() - between)
                sizes.append(len(body))
        print(
            f"{name:16} {statistics.mean(sizes) / 1e3:8.0f} kB a page, packed in "
            f"{1e3 * statistics.median(packing):5.1f} ms, unpacked in "
            f"{1e3 * statistics.median(unpacking):5.1f} ms"
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--pages", type=int, default=2)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--callers", type=int, default=_CALLERS, help=argparse.SUPPRESS)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--wire", action="store_true")
    options = parser.parse_args()
    if options.part:
        part(options)
        return
    print(machine())
    if options.wire:
        wire()
    else:
        compare(options)


if __name__ == "__main__":
    main()
