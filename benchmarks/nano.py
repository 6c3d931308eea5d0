"""The bundled checkpoint from PDF to vectors: our way and the card's own, in one process.

    python -m benchmarks.nano [--pairs 7] [--dtype bfloat16]

The card's way: render at 200 dpi, resize, transformers' image processor and model in float32, one
page at a time. Our way: ``encode_pages`` with pages of a PDF, in ``--dtype``: dense, late
interaction, and both with a ``PairedEncoder``. The pages are the middle pages of four demo
documents.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from functools import partial
from statistics import median

import torch

from benchmarks.card_path import CardPath
from benchmarks.sample_pages import DOCUMENTS, sample_pages
from benchmarks.timing import compare, machine
from vdr_integrations import PairedEncoder, load_encoder, open_pdf
from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED

_PAGES = 4


def card(path: CardPath, dimension: int) -> None:
    """Vectors of all pages."""
    for image in sample_pages(_PAGES):
        path.encode_documents([image], dimension)


def main() -> None:
    """Print a line for each of ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--dtype", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(2)
    print(machine())
    dense = load_encoder("nano", device="cpu", dtype=options.dtype)
    late = load_encoder("nano-colqwen2", device="cpu", dtype=options.dtype)
    theirs = partial(card, CardPath(BUNDLED["nano"]), dense.dimension)
    with ExitStack() as stack:
        documents = [
            stack.enter_context(open_pdf(path)) for path in sorted(DOCUMENTS.glob("*.pdf"))[:_PAGES]
        ]
        pages = [document[len(document) // 2] for document in documents]
        for what, ours in (
            ("dense", partial(dense.encode_pages, pages)),
            ("late interaction", partial(late.encode_pages, pages)),
            ("both", partial(PairedEncoder(dense=dense, multi_vector=late).encode_pages, pages)),
        ):
            timed = compare(ours, theirs, pairs=options.pairs)
            own, card_s = (_PAGES / median(pair[n] for pair in timed.wall) for n in (0, 1))
            print(f"{what}: {own:.2f} pages/s, the card's dense {card_s:.2f}; {timed}", flush=True)


if __name__ == "__main__":
    main()
