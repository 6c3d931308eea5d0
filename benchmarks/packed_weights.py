"""Weights of 8 bits compared with float32: bytes, cosines, CPU seconds, in one process.

python -m benchmarks.packed_weights [--layers 4] [--pairs 3] [--checkpoint FOLDER]
"""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.arguments import arguments
from benchmarks.full_size import checkpoint_folder
from benchmarks.sample_pages import sample_pages
from benchmarks.timing import compare, machine
from vdr_integrations import DenseEncoder

if TYPE_CHECKING:
    from pathlib import Path

_QUERIES = ("revenue of the third quarter", "Wie hoch war die Miete?", "chart")


def weight_bytes(encoder: DenseEncoder) -> int:
    """What the weights take in memory."""
    model = encoder.model_here.backbone.model
    tensors = [*model.parameters(), *model.buffers()]
    return sum(one.numel() * one.element_size() for one in tensors)


def run(folder: Path, *, pairs: int) -> None:
    """Print a line for each dtype, beside float32."""
    pages = sample_pages(3)
    whole = DenseEncoder.load(str(folder), device="cpu", dtype="float32")
    print(f"float32: {weight_bytes(whole) / 1e9:.2f} GB", flush=True)
    expected = whole.encode_pages(pages), whole.encode_queries(_QUERIES)
    for dtype in ("bfloat16", "int8", "float8"):
        packed = DenseEncoder.load(str(folder), device="cpu", dtype=dtype)
        found = packed.encode_pages(pages), packed.encode_queries(_QUERIES)
        cosines = [(a * b).sum(axis=1).min() for a, b in zip(found, expected, strict=True)]
        page, query = (
            np.median([ours / theirs for ours, theirs in timed.cpu])
            for timed in (
                compare(
                    partial(packed.encode_pages, pages[:1]),
                    partial(whole.encode_pages, pages[:1]),
                    pairs=pairs,
                ),
                compare(
                    partial(packed.encode_queries, _QUERIES[:1]),
                    partial(whole.encode_queries, _QUERIES[:1]),
                    pairs=pairs,
                ),
            )
        )
        print(
            f"{dtype}: {weight_bytes(packed) / 1e9:.2f} GB, least cosine to float32 "
            f"{cosines[0]:.5f} page, {cosines[1]:.5f} query; CPU {page:.2f} page, "
            f"{query:.2f} query",
            flush=True,
        )
        del packed
        gc.collect()


def main() -> None:
    """Use a given checkpoint or random weights of the full configuration."""
    options = arguments("Weights of 8 bits beside whole ones")
    print(machine())
    with checkpoint_folder(options) as folder:
        run(folder, pairs=options.pairs)


if __name__ == "__main__":
    main()
