"""The exact prompts of known checkpoints, and the source of each."""

from __future__ import annotations

__all__ = [
    "COLQWEN2_HF_QUERY_PROMPT",
    "COLQWEN2_PAGE_PROMPT",
    "COLQWEN2_QUERY_PROMPT",
    "DSE_PAGE_PROMPT",
    "DSE_QUERY_PROMPT",
    "GME_PAGE_PROMPT",
    "GME_QUERY_PROMPT",
    "IMAGE_PLACEHOLDER",
    "NANO_LATE_PAGE_PROMPT",
    "NANO_LATE_QUERY_PROMPT",
    "NOMIC_QUERY_PROMPT",
    "OPS_PAGE_PROMPT",
    "QWEN3_EMBEDDING_PAGE_PROMPT",
    "QWEN3_EMBEDDING_QUERY_PROMPT",
    "TOMORO_QUERY_PROMPT",
    "VDR_PAGE_PROMPT",
    "VDR_QUERY_PROMPT",
]

IMAGE_PLACEHOLDER = "<|image_pad|>"
"""Occurs once in every prompt with an image; becomes one token per visual token."""

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

_AUGMENTATION = "<|endoftext|>" * 10

COLQWEN2_PAGE_PROMPT = (
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Describe the image.<|im_end|>"
    "<|endoftext|>"
)
"""colpali-engine 0.3.4, ``ColQwen2Processor.visual_prompt_prefix``; transformers has the same."""

COLQWEN2_QUERY_PROMPT = f"Query: {{query}}{_AUGMENTATION}"
"""colpali-engine 0.3.4, ``ColQwen2Processor.process_queries``: what the checkpoints were trained
and published with. Later releases of colpali-engine leave "Query: " out (its commit d29e228), which
changes their scores (embeddings-benchmark/mteb#5106)."""

COLQWEN2_HF_QUERY_PROMPT = f"Query: {{query}}{_AUGMENTATION}\n"
"""transformers 5.23, ``ColQwen2Processor``: with a line break at the end."""

NOMIC_QUERY_PROMPT = "Query: {query}<|endoftext|>"
"""nomic-ai/colpali 581f26e, ``BiQwen2_5_Processor``: what nomic-embed-multimodal was trained with.
Pages have ColQwen2's prompt. (colpali-engine's own class leaves "Query: " out.)"""

TOMORO_QUERY_PROMPT = f"{{query}}{_AUGMENTATION}"
"""``ColQwen3Processor`` in TomoroAI/tomoro-colqwen3-embed-4b: without "Query: "."""

OPS_PAGE_PROMPT = (
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Describe the image.<|im_end|>"
    "<|im_start|>assistant\n<|endoftext|>"
)
"""mteb's wrapper of OpenSearch-AI/Ops-Colqwen3-4B. Queries have ColQwen2's prompt."""

_GME_END = "<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"

GME_PAGE_PROMPT = f"{_OPENING}{_GME_END}"
"""``gme_inference.py`` of Alibaba-NLP/gme-Qwen2-VL-2B-Instruct."""

GME_QUERY_PROMPT = (
    "<|im_start|>system\nFind an image that matches the given text.<|im_end|>\n"
    f"<|im_start|>user\n{{query}}{_GME_END}"
)
"""``gme_inference.py`` of Alibaba-NLP/gme-Qwen2-VL-2B-Instruct, with its card's instruction for
queries; describe a checkpoint with another one if your questions need it."""

_QWEN3_END = "<|im_end|>\n<|im_start|>assistant\n"

QWEN3_EMBEDDING_PAGE_PROMPT = (
    "<|im_start|>system\nRepresent the user's input.<|im_end|>\n"
    f"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{_QWEN3_END}"
)
"""QwenLM/Qwen3-VL-Embedding, ``qwen3_vl_embedding.py``, with its default instruction. The report
names ``<|endoftext|>`` as the last token; the published code ends here."""

QWEN3_EMBEDDING_QUERY_PROMPT = (
    "<|im_start|>system\nRetrieve images or text relevant to the user's query.<|im_end|>\n"
    f"<|im_start|>user\n{{query}}{_QWEN3_END}"
)
"""QwenLM/Qwen3-VL-Embedding, README: the instruction of its examples for questions."""

NANO_LATE_PAGE_PROMPT = (
    "<|im_start|><|vision_start|><|image_pad|><|vision_end|><|im_end|><|endoftext|>"
)
"""``training/late.py``: without words, because a query could match them on every page."""

NANO_LATE_QUERY_PROMPT = "<|im_start|> {query}<|im_end|><|endoftext|>"
"""``training/late.py``: the last token represents the whole query, as in a page's prompt."""
