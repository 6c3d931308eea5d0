"""Our way of encoding and the card's: CPU seconds, in turn, in one process.

python -m benchmarks.encode [--layers 4] [--pairs 7] [--checkpoint FOLDER]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from benchmarks.arguments import arguments
from benchmarks.card_path import CardPath
from benchmarks.full_size import checkpoint_folder
from benchmarks.sample_pages import sample_pages, sample_questions
from benchmarks.timing import compare, machine
from vdr_integrations import DenseEncoder

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, *, pairs: int) -> None:
    """Print one line for pages and two for queries."""
    card = CardPath(folder, dtype=torch.bfloat16)
    encoder = DenseEncoder.load(str(folder), device="cpu", dtype="bfloat16")
    [image] = sample_pages(1)
    query, *_ = queries = sample_questions(16)
    work = {
        "one page, 768 visual tokens at most": (
            lambda: encoder.encode_pages([image]),
            lambda: card.encode_documents([image], encoder.dimension),
        ),
        "one query": (
            lambda: encoder.encode_queries([query]),
            lambda: card.encode_queries([query], encoder.dimension),
        ),
        "16 queries": (
            lambda: encoder.encode_queries(queries),
            lambda: card.encode_queries(queries, encoder.dimension),
        ),
    }
    for what, (ours, theirs) in work.items():
        print(f"{what}: {compare(ours, theirs, pairs=pairs)}", flush=True)


def main() -> None:
    """Use a given checkpoint or random weights of the full configuration."""
    options = arguments("Encode path beside the card's")
    print(machine())
    with checkpoint_folder(options) as folder:
        run(folder, pairs=options.pairs)


if __name__ == "__main__":
    main()
