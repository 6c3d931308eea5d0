"""The exact prompt strings of known checkpoints, and where each comes from."""

from __future__ import annotations

__all__ = [
    "DSE_PAGE_PROMPT",
    "DSE_QUERY_PROMPT",
    "IMAGE_PLACEHOLDER",
    "VDR_PAGE_PROMPT",
    "VDR_QUERY_PROMPT",
]

IMAGE_PLACEHOLDER = "<|image_pad|>"
"""Stands once in every prompt; becomes one token per visual token."""

_OPENING = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
)

VDR_PAGE_PROMPT = f"{_OPENING}What is shown in this image?<|im_end|>\n<|endoftext|>"
"""Model card of llamaindex/vdr-2b-multi-v1, ``document_prompt``."""

VDR_QUERY_PROMPT = f"{_OPENING}Query: {{query}}<|im_end|>\n<|endoftext|>"
"""Model card of llamaindex/vdr-2b-multi-v1, ``query_prompt``."""

DSE_PAGE_PROMPT = (
    f"{_OPENING}What is shown in this image?<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"
)
"""Model card of MrLight/dse-qwen2-2b-mrl-v1: chat template with its generation prompt."""

DSE_QUERY_PROMPT = f"{_OPENING}Query: {{query}}<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"
"""Model card of MrLight/dse-qwen2-2b-mrl-v1: chat template with its generation prompt."""
