"""The prompts of vdr-2b-multi-v1, unchanged, and the special tokens in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_HEAD = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    "<|vision_start|><|image_pad|><|vision_end|>"
)
_TAIL = "<|im_end|>\n<|endoftext|>"
DOCUMENT_PROMPT = _HEAD + "What is shown in this image?" + _TAIL
QUERY_PROMPT = _HEAD + "Query: %s" + _TAIL
DUMMY_GRID = (2, 2)  # visual tokens of the 56 x 56 black image that comes with a query


@dataclass(frozen=True)
class PromptIds:
    """Token ids around the image of a prompt."""

    before: list[int]
    after: list[int]


def split_at_image(tokenizer: Tokenizer, prompt: str) -> PromptIds:
    """Token ids of ``prompt`` before and after its image placeholder."""
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids
    place = ids.index(tokenizer.token_to_id("<|image_pad|>"))
    return PromptIds(ids[:place], ids[place + 1 :])
