"""Train the bundled checkpoint from nothing: ``python -m training.train --out DIR``.

Every stage keeps its state in DIR and is resumed or skipped when run again. The checkpoint is
written to DIR/export.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from training.align import AlignConfig, load_aligned, train_aligned
from training.basis import main_directions, turn
from training.codes import CharCodes, fit_codes
from training.contrast import ContrastConfig, train_readout
from training.export import export, verify
from training.late import export_late, fit_token_head, heed
from training.nano import Nano, load_tokenizer
from training.queries import QueryConfig, train_pieces
from training.read import ReadConfig, train_reader
from training.salience import least_agreement
from training.salience_stage import SalienceConfig, train_salience
from training.tokenizer import train_tokenizer
from training.whitening import fit_whitening
from training.whole import WholeConfig, train_whole

STAGES = ("read", "align", "whole", "queries", "contrast", "salience", "export")
TEXTS = Path("/usr/share/man")


def assemble(out: Path, model: Nano, codes: CharCodes) -> None:
    """Put together what the stages have learned."""
    model.start_from_codes(codes)
    load_aligned(out, model)
    train_whole(out, model, WholeConfig())
    train_pieces(out, model, codes, QueryConfig())


def main() -> None:
    """Run the stages in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stages", nargs="+", default=STAGES, choices=STAGES)
    parser.add_argument("--texts", type=Path, default=TEXTS, help="manual pages to learn by")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    if not (out / "tokenizer.json").exists():
        train_tokenizer(out)
    model = Nano(load_tokenizer(out))
    codes = fit_codes(out / "codes.pt")
    if "read" in arguments.stages:
        train_reader(out, ReadConfig())
    if "align" in arguments.stages:
        train_aligned(out, model, codes, AlignConfig())
    last = max(map(STAGES.index, arguments.stages))
    if last < STAGES.index("whole"):
        return
    assemble(out, model, codes)
    if last < STAGES.index("contrast"):
        return
    model.read_pages(fit_whitening(out, codes))
    weight, bias = fit_token_head(out, codes)
    readout = train_readout(out, model, weight, arguments.texts, ContrastConfig())
    if last < STAGES.index("salience"):
        return
    salience = train_salience(out, model, readout, arguments.texts, SalienceConfig())
    if "export" in arguments.stages:
        weight = readout.give_back(model)
        weight = heed(weight, salience.give(model))
        print(f"least cosine to what was trained: {least_agreement(salience, model):.4f}")
        head = turn(model, (weight, bias), main_directions(readout))
        export(model, out / "export")
        export_late(head, out / "export-colqwen2", base="../export")
        print(f"least cosine to transformers: {verify(model, out / 'export'):.7f}")


if __name__ == "__main__":
    main()
