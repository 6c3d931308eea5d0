"""How long an event loop is delayed while many callers encode with one encoder.

    python -m benchmarks.event_loop [--callers 64] [--model nano]

Half of the callers encode a page each, the other half a query. A timer of 2 ms shows how late the
loop is: first while this process does nothing else, then while they encode. The last line is the
CPU time of one excerpt of the longest text layer that is allowed, for a question of 400 words; the
MCP server makes excerpts in a thread, which holds Python's lock.

Figures depend on the machine and on its other work. `tests/encoders/runtime/test_concurrency.py`
proves that the loop runs while the model works.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmarks.timing import machine
from vdr_integrations import DenseEncoder
from vdr_integrations.agents import excerpt
from vdr_integrations.pages import RenderLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

_TICK_S = 0.002
_IDLE_S = 2.0


def page(seed: int) -> Image.Image:
    """A4 at 72 dpi, coarse noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 30, 3), np.uint8)
    return Image.fromarray(pixels).resize((595, 842))


async def lags_while(work: asyncio.Future[Any]) -> list[float]:
    """How late a timer comes, in seconds, again and again until the work is done."""
    lags: list[float] = []
    while not work.done():
        before = time.perf_counter()
        await asyncio.sleep(_TICK_S)
        lags.append(time.perf_counter() - before - _TICK_S)
    return lags


async def measure(encoder: DenseEncoder, *, callers: int) -> None:
    """Print how late the loop is without and with them."""
    pages = [page(seed) for seed in range(callers // 2)]
    await encoder.aencode_pages(pages[:1])
    await encoder.aencode_queries(["once"])
    print_lags("idle", await lags_while(asyncio.ensure_future(asyncio.sleep(_IDLE_S))))
    began = time.perf_counter()
    calls = [encoder.aencode_pages([one]) for one in pages]
    calls += [encoder.aencode_queries([f"number {n}"]) for n in range(callers - len(pages))]
    work = asyncio.gather(*calls)
    lags = await lags_while(work)
    print_lags(f"{callers} callers, {time.perf_counter() - began:.1f} s", lags)
    await work


def print_lags(what: str, lags: Sequence[float]) -> None:
    """Percentiles in milliseconds."""
    at = (50, 95, 99, 100)
    found = ", ".join(
        f"p{percent} {lag * 1000:.2f}"
        for percent, lag in zip(at, np.percentile(lags, at), strict=True)
    )
    print(f"{what}: {found} ms late, of {len(lags)} turns", flush=True)


def longest_excerpt_s() -> float:
    """CPU seconds of the longest text layer's excerpt."""
    longest = RenderLimits().max_text_characters
    text = " ".join(f"lorem{number % 400}" for number in range(longest // 8))[:longest]
    question = " ".join(f"lorem{number}" for number in range(400))
    began = time.process_time()
    excerpt(text, question, max_characters=700)
    return time.process_time() - began


def main() -> None:
    """Print three lines and the machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--model", default="nano", help="a dense checkpoint")
    options = parser.parse_args()
    print(machine())
    encoder = DenseEncoder.load(options.model, device="cpu")
    asyncio.run(measure(encoder, callers=options.callers))
    print(f"the longest excerpt: {longest_excerpt_s():.2f} CPU s")


if __name__ == "__main__":
    main()
