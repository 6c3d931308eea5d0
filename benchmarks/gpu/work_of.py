"""The least work that pages and queries need: multiplications, and bytes that must be read.

It is the work of the package's own pass, which leaves out everything that no vector depends on. The
card's way does more, so it reaches a smaller share of the same limit.
"""

from __future__ import annotations

from typing import Any

__all__ = ["decoder_bytes", "page_flops"]

_Config = Any
"""transformers annotates its configurations too loosely to be of help."""

_PATCH_NUMBERS = 588  # 14 x 14 pixels of three colours; the second of two equal frames is folded in
_MERGED = 4  # patches of a visual token


def page_flops(
    config: _Config, *, visual_tokens: int, prompt_tokens: int, every_state: bool
) -> float:
    """Operations of a page; a multiplication and an addition are two.

    ``benchmarks.work`` counts the same where the pass is run on tensors without contents.

    Args:
        config: ``Qwen2VLConfig``.
        visual_tokens: Number of visual tokens of the page.
        prompt_tokens: Number of tokens around them.
        every_state: The states of all tokens are needed, not only that of the last one.
    """
    vision, text = config.vision_config, config.get_text_config()
    patches, width = _MERGED * visual_tokens, vision.embed_dim
    block = 2 * patches * width**2 * (4 + 2 * vision.mlp_ratio) + 4 * patches**2 * width
    merged = _MERGED * width
    merger = 2 * visual_tokens * merged * (merged + vision.hidden_size)
    tower = vision.depth * block + 2 * patches * _PATCH_NUMBERS * width + merger
    tokens = visual_tokens + prompt_tokens
    around, keys_and_values = _layer(text)
    whole = tokens * (around + keys_and_values) + 2 * tokens**2 * text.hidden_size
    last = whole
    if not every_state:
        last = tokens * keys_and_values + around + 4 * tokens * text.hidden_size
    return tower + (text.num_hidden_layers - 1) * whole + last


def decoder_bytes(config: _Config, *, bytes_each: int) -> float:
    """Of the decoder's weights, its table of tokens left out: a query reads them all once."""
    text = config.get_text_config()
    return text.num_hidden_layers * sum(_layer(text)) / 2 * bytes_each


def _layer(text: _Config) -> tuple[float, float]:
    """Operations of a token in a layer's products: all but keys and values, and those."""
    width, heads = text.hidden_size, text.num_attention_heads
    of_keys = width * text.num_key_value_heads // heads
    around = 2 * (2 * width**2 + 3 * width * text.intermediate_size)
    return around, 2 * 2 * width * of_keys
