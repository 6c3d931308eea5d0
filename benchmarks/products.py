"""For which sizes other products are faster than bfloat16 on this CPU: matrices, and attention.

python -m benchmarks.products [--pairs 7]
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from torch import nn

from benchmarks.full_size import TEXT, VISION
from benchmarks.timing import compare, machine
from vdr_integrations.encoders.forward.matrix_products import Products, choose_products

_PATCHES = 2944  # of an A4 page, by the heads of the 2B model's vision tower and of nano's
_PAGE_TOKENS = 768  # of its prompt, by the heads of their decoders
_TOKENS = (16, 32, 64, 128, 256, 768, 3072)


def main() -> None:
    """Print a line for each matrix of the 2B model and each length, and for attention."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine())
    hidden, inner, width = TEXT["hidden_size"], TEXT["intermediate_size"], VISION["embed_dim"]
    wide = choose_products(torch.zeros(1, dtype=torch.bfloat16)).over(max(_TOKENS))
    if type(wide) is Products:
        print("this CPU multiplies bfloat16 fast: the package does so")
        return
    with torch.inference_mode():
        decoder = TEXT["num_attention_heads"]
        for tokens, heads, head_dimension, is_causal in (
            (_PATCHES, VISION["num_heads"], width // VISION["num_heads"], False),
            (_PATCHES, 3, 64, False),
            (_PAGE_TOKENS, decoder, hidden // decoder, True),
            (_PAGE_TOKENS, 8, 64, True),
        ):
            operands = torch.randn(3, 1, heads, tokens, head_dimension).to(torch.bfloat16)
            timed = compare(
                partial(wide.attention, *operands, is_causal=is_causal),
                partial(Products().attention, *operands, is_causal=is_causal),
                pairs=options.pairs,
            )
            kind = "causal attention" if is_causal else "attention"
            print(f"{kind}, {tokens} x {heads} x {head_dimension}: {timed}", flush=True)
        if type(wide).linear is Products.linear:
            print("this CPU multiplies matrices of bfloat16 fast: the package does so")
            return
        for inputs, outputs in ((hidden, inner), (inner, hidden), (width, 4 * width)):
            linear = nn.Linear(inputs, outputs, dtype=torch.bfloat16)
            for tokens in _TOKENS:
                x = torch.randn(tokens, inputs).to(torch.bfloat16)
                timed = compare(
                    partial(wide.linear, x, linear),
                    partial(Products().linear, x, linear),
                    pairs=options.pairs,
                )
                print(f"{tokens} x {inputs} x {outputs}: {timed}", flush=True)


if __name__ == "__main__":
    main()
