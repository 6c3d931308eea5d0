"""The model card's own way of encoding, as published, with transformers alone: the reference.

Two changes to the card's code, neither of which changes a number: the processor class needs
torchvision, so its two halves (image processor, tokenizer) are called one after the other; and
``mm_token_type_ids``, which transformers 5 wants, is passed. Everything that makes the card's way
slow is kept: the language-model head over every token, all hidden states, left padding of pages.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from PIL import Image
from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration

from benchmarks.image_processor import Qwen2VLImageProcessorPil

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DOCUMENT_PROMPT", "QUERY_PROMPT", "CardPath", "smart_resize"]

# Copied from the card letter by letter: the package's own constants are what is tested.
DOCUMENT_PROMPT = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    "<|vision_start|><|image_pad|><|vision_end|>What is shown in this image?<|im_end|>\n"
    "<|endoftext|>"
)
QUERY_PROMPT = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    "<|vision_start|><|image_pad|><|vision_end|>Query: %s<|im_end|>\n<|endoftext|>"
)


def smart_resize(
    height: int, width: int, *, max_pixels: int, min_pixels: int, factor: int = 28
) -> tuple[int, int]:
    """The card's, with 28 for other sides: (width, height) that an image is resized to."""
    h_bar = max(factor, round(height / factor) * factor)
    w_bar = max(factor, round(width / factor) * factor)
    if h_bar * w_bar > max_pixels:
        beta = math.sqrt((height * width) / max_pixels)
        h_bar = math.floor(height / beta / factor) * factor
        w_bar = math.floor(width / beta / factor) * factor
    elif h_bar * w_bar < min_pixels:
        beta = math.sqrt(min_pixels / (height * width))
        h_bar = math.ceil(height * beta / factor) * factor
        w_bar = math.ceil(width * beta / factor) * factor
    return w_bar, h_bar


class CardPath:
    """encode_queries and encode_documents of the vdr-2b-multi-v1 card."""

    def __init__(
        self,
        folder: Path | str,
        *,
        max_visual_tokens: int = 768,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        model: Qwen2VLForConditionalGeneration | None = None,
    ) -> None:
        """Load from a folder; a model of it that is in memory already can be given."""
        if model is None:
            model = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=dtype)
        self.model = model.to(device).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.pixels = {"min_pixels": 1 * 28 * 28, "max_pixels": max_visual_tokens * 28 * 28}
        self.image_processor = Qwen2VLImageProcessorPil.from_pretrained(folder, **self.pixels)

    def encode_queries(self, queries: Sequence[str], dimension: int) -> NDArray[np.float32]:
        """float32 (queries, dimension)."""
        images = [Image.new("RGB", (56, 56)) for _ in queries]
        prepared = self._prepared([QUERY_PROMPT % query for query in queries], images)
        return self.encode_prepared(prepared, dimension)

    def encode_documents(
        self, documents: Sequence[Image.Image], dimension: int
    ) -> NDArray[np.float32]:
        """float32 (documents, dimension)."""
        return self.encode_prepared(self.prepare_documents(documents), dimension)

    def prepare_documents(self, documents: Sequence[Image.Image]) -> dict[str, torch.Tensor]:
        """Resized, cut into patches and tokenized, in the CPU's memory."""
        resized = [
            image.resize(smart_resize(image.height, image.width, **self.pixels))
            for image in documents
        ]
        return self._prepared([DOCUMENT_PROMPT] * len(documents), resized)

    def _prepared(
        self, prompts: Sequence[str], images: Sequence[Image.Image]
    ) -> dict[str, torch.Tensor]:
        pixels = self.image_processor(images=list(images), return_tensors="pt")
        counts = [int(grid.prod()) // 4 for grid in pixels["image_grid_thw"]]
        texts = [
            prompt.replace("<|image_pad|>", "<|image_pad|>" * count, 1)
            for prompt, count in zip(prompts, counts, strict=True)
        ]
        tokens = self.tokenizer(texts, padding="longest", return_tensors="pt")
        is_image = tokens["input_ids"] == self.model.config.image_token_id
        return {**tokens, **pixels, "mm_token_type_ids": is_image.int()}

    def encode_prepared(
        self, prepared: dict[str, torch.Tensor], dimension: int
    ) -> NDArray[np.float32]:
        """What is left to do for documents that :meth:`prepare_documents` prepared."""
        device = self.model.device
        with torch.no_grad():
            output = self.model(
                input_ids=prepared["input_ids"].to(device),
                attention_mask=prepared["attention_mask"].to(device),
                pixel_values=prepared["pixel_values"].to(device, self.model.dtype),
                image_grid_thw=prepared["image_grid_thw"].to(device),
                mm_token_type_ids=prepared["mm_token_type_ids"].to(device),
                use_cache=False,
                return_dict=True,
                output_hidden_states=True,
            )
        embeddings = output.hidden_states[-1][:, -1]
        return (
            torch.nn.functional.normalize(embeddings[:, :dimension].float(), dim=-1).cpu().numpy()
        )
