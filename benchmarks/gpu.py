"""Pages per second and peak memory by batch size, beside the card's path and the card's table.

    python -m benchmarks.gpu [--checkpoint FOLDER]

Needs a CUDA GPU. Without --checkpoint the weights are random, of the real configuration: speed
and memory are those of the real model, the vectors mean nothing.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import torch

from benchmarks.arguments import arguments
from benchmarks.card_path import CardPath
from benchmarks.full_size import checkpoint_folder
from benchmarks.sample_pages import sample_pages
from benchmarks.timing import machine
from vdr_integrations import load_encoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image

CARD_TABLE_GB = {4: 6.9, 8: 8.8, 16: 11.5, 32: 19.7}
"""Model card of llamaindex/vdr-2b-multi-v1."""


def measure(work: Callable[[], object], *, pages: int, rounds: int) -> tuple[float, float]:
    """Pages per second and peak gigabytes that torch held, weights included."""
    work()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    for _ in range(rounds):
        work()
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    return pages * rounds / seconds, torch.cuda.max_memory_reserved() / 1e9


def run(folder: Path, *, rounds: int) -> None:
    """Print a table: ours first, then the card's, so that each has the GPU to itself."""
    [page] = sample_pages(1)
    for way, make in {"ours": _ours, "card": _card}.items():
        for batch, card_gb in CARD_TABLE_GB.items():
            work = make(folder, [page] * batch)
            speed, memory = measure(work, pages=batch, rounds=rounds)
            print(
                f"{way:4} batch {batch:2}: {speed:6.1f} pages/s, {memory:5.2f} GB reserved "
                f"(card's table: {card_gb} GB)",
                flush=True,
            )
            del work
            gc.collect()
            torch.cuda.empty_cache()


def _ours(folder: Path, pages: list[Image.Image]) -> Callable[[], object]:
    encoder = load_encoder(
        str(folder), device="cuda", dtype="bfloat16", batch_visual_tokens=768 * len(pages)
    )
    return lambda: encoder.encode_pages(pages)


def _card(folder: Path, pages: list[Image.Image]) -> Callable[[], object]:
    card = CardPath(folder, dtype=torch.bfloat16, device="cuda")
    return lambda: card.encode_documents(pages, 1536)


def main() -> None:
    """Refuse to run without a GPU."""
    options = arguments("GPU throughput and memory beside the card's path")
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA GPU here; benchmarks.encode compares on a CPU")
    print(machine())
    with checkpoint_folder(options) as folder:
        run(folder, rounds=options.pairs)


if __name__ == "__main__":
    main()
