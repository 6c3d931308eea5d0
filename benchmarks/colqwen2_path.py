"""colpali-engine's way of encoding with ColQwen2, rebuilt with transformers alone: the reference.

colpali-engine itself pins torch and needs torchvision. What it computes is kept: its prompts, left
padding, Qwen2-VL's own M-RoPE positions, ``custom_text_proj`` on the last hidden states, L2 norm,
times the attention mask. And its ``score_multi_vector`` for two single items, where padding plays
no part.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration

from benchmarks.card_path import smart_resize
from benchmarks.image_processor import Qwen2VLImageProcessorPil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["PAGE_PROMPT", "QUERY_SUFFIX", "ColQwen2Path"]

# Letter by letter: the package's own constants are what is tested.
PAGE_PROMPT = (
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Describe the image.<|im_end|>"
    "<|endoftext|>"
)
QUERY_SUFFIX = "<|endoftext|>" * 10


class ColQwen2Path:
    """process_images / process_queries and the model's forward of colpali-engine 0.3."""

    def __init__(
        self,
        folder: Path | str,
        projection: tuple[torch.Tensor, torch.Tensor],
        *,
        max_visual_tokens: int = 768,
        query_end: str = "",
        model: Qwen2VLForConditionalGeneration | None = None,
    ) -> None:
        """Load a Qwen2-VL folder; the projection's weight and bias are given apart.

        A model of the folder that is in memory already can be given; its device and dtype are kept.
        """
        if model is None:
            model = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.model = model.eval()
        self.weight, self.bias = (part.to(model.device, model.dtype) for part in projection)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.pixels = {"min_pixels": 4 * 28 * 28, "max_pixels": max_visual_tokens * 28 * 28}
        self.image_processor = Qwen2VLImageProcessorPil.from_pretrained(folder, **self.pixels)
        self.query_end = query_end

    def encode_queries(self, queries: Sequence[str]) -> list[NDArray[np.float32]]:
        """float32 (tokens, 128) for each query."""
        texts = [f"Query: {query}{QUERY_SUFFIX}{self.query_end}" for query in queries]
        return self.encode_prepared(self.tokenizer(texts, padding="longest", return_tensors="pt"))

    def encode_pages(self, pages: Sequence[Image.Image]) -> list[NDArray[np.float32]]:
        """float32 (tokens, 128) for each page."""
        return self.encode_prepared(self.prepare_pages(pages))

    def prepare_pages(self, pages: Sequence[Image.Image]) -> dict[str, torch.Tensor]:
        """Resized, cut into patches and tokenized, in the CPU's memory."""
        resized = [
            page.resize(smart_resize(page.height, page.width, **self.pixels)) for page in pages
        ]
        pixels = self.image_processor(images=resized, return_tensors="pt")
        texts = [
            PAGE_PROMPT.replace("<|image_pad|>", "<|image_pad|>" * (math.prod(grid) // 4), 1)
            for grid in pixels["image_grid_thw"].tolist()
        ]
        tokens = self.tokenizer(texts, padding="longest", return_tensors="pt")
        is_image = tokens["input_ids"] == self.model.config.image_token_id
        return {**tokens, **pixels, "mm_token_type_ids": is_image.int()}

    @torch.no_grad()
    def encode_prepared(self, prepared: Mapping[str, torch.Tensor]) -> list[NDArray[np.float32]]:
        """What is left to do for pages that :meth:`prepare_pages` prepared."""
        inputs = {
            name: tensor.to(self.model.device, self.model.dtype if name == "pixel_values" else None)
            for name, tensor in prepared.items()
        }
        mask = inputs["attention_mask"]
        # transformers 5.3 would give a text the positions of the pages of an earlier call.
        self.model.model.rope_deltas = None
        states = self.model(**inputs, output_hidden_states=True).hidden_states[-1]
        projected = torch.nn.functional.linear(states, self.weight, self.bias)
        projected = projected / projected.norm(dim=-1, keepdim=True) * mask.unsqueeze(-1)
        found = projected.float().cpu(), mask.cpu().bool()
        return [row[kept].numpy() for row, kept in zip(*found, strict=True)]
