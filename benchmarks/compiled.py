"""The effect of ``torch.compile``: compiled blocks and layers, and our own pass, in CPU seconds.

python -m benchmarks.compiled [--layers 2] [--pairs 5] [--checkpoint FOLDER]

The package does not compile: on a CPU it saves almost nothing, and each new shape of page costs the
users the time that is printed first.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.arguments import arguments
from benchmarks.full_size import checkpoint_folder
from benchmarks.sample_pages import sample_pages
from benchmarks.timing import compare, machine
from vdr_integrations import DenseEncoder
from vdr_integrations.encoders.forward import decoder, vision_tower


class _CompiledBlock(vision_tower.VisionBlock):
    __call__ = torch.compile(vision_tower.VisionBlock.__call__)


class _CompiledLayer(decoder.DecoderLayer):
    __call__ = torch.compile(decoder.DecoderLayer.__call__)


def compiled(folder: Path) -> DenseEncoder:
    """An encoder whose layers are compiled as they are first used."""
    encoder = DenseEncoder.load(str(folder), device="cpu", dtype="bfloat16")
    backbone = encoder.model_here.backbone
    for block in backbone.vision.blocks:
        block.__class__ = _CompiledBlock
    for layer in backbone.decoder.layers:
        layer.__class__ = _CompiledLayer
    return encoder


def main() -> None:
    """Print the time of compiling, the cosine, and the ratio."""
    options = arguments("torch.compile beside our own pass")
    print(machine())
    pages = sample_pages(1)
    with checkpoint_folder(options) as folder, tempfile.TemporaryDirectory() as scratch:
        # Encoders of one folder share their weights, and these must not.
        other = shutil.copytree(folder, Path(scratch) / folder.name)
        plain, fused = (
            DenseEncoder.load(str(folder), device="cpu", dtype="bfloat16"),
            compiled(other),
        )
        began = time.perf_counter()
        found = fused.encode_pages(pages)
        took = time.perf_counter() - began
        cosine = (found * plain.encode_pages(pages)).sum()
        print(f"first page {took:.0f} s, cosine {cosine:.5f}", flush=True)
        timed = compare(
            lambda: fused.encode_pages(pages),
            lambda: plain.encode_pages(pages),
            pairs=options.pairs,
        )
        print(f"compiled beside plain: {timed}")


if __name__ == "__main__":
    main()
