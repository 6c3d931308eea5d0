"""transformers' own model of a family, and the arithmetic around it: the reference of all families.

Prompts and pixels are given letter by letter by who asks: the package's own are what is tested.
Nothing of this package is used. For late interaction this is what colpali-engine computes: the last
hidden states, ``custom_text_proj``, L2 norm, times the attention mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForImageTextToText, AutoTokenizer

from benchmarks.card_path import smart_resize
from benchmarks.image_processor import Qwen2VLImageProcessorPil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["StockPath", "Surroundings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a checkpoint puts around the model.

    Attributes:
        page_prompt: With ``<|image_pad|>`` once.
        query_prompt: With ``%s`` once.
        min_tokens: Fewest visual tokens of a page.
        max_tokens: Most visual tokens of a page.
        factor: Side of the square of a visual token, in pixels.
    """

    page_prompt: str
    query_prompt: str
    min_tokens: int
    max_tokens: int = 768
    factor: int


class StockPath:
    """Pages and queries through transformers' own modules, in padded batches."""

    def __init__(
        self,
        folder: Path | str,
        around: Surroundings,
        *,
        projection: tuple[torch.Tensor, torch.Tensor] | None = None,
        dtype: torch.dtype = torch.float32,
        model: Any = None,  # noqa: ANN401  # loosely typed
    ) -> None:
        """Load from a folder; a model of it that is in memory already can be given.

        Args:
            folder: A whole checkpoint.
            around: Prompts and pixels.
            projection: Weight and bias of a late-interaction checkpoint's head; None gives the
                last token's state as the vector.
            dtype: Format of the weights.
            model: Instead of loading one.
        """
        if model is None:
            model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype)
        self.model: Any = model.eval()
        # transformers 5.3 multiplies the time of a still image with it, as if it were a video.
        model.config.vision_config.tokens_per_second = 1
        self._around = around
        self._projection = projection
        self._tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        square = around.factor**2
        self._pixels = {
            "min_pixels": around.min_tokens * square,
            "max_pixels": around.max_tokens * square,
        }
        self._images = Qwen2VLImageProcessorPil.from_pretrained(folder, **self._pixels)

    def pages(self, images: Sequence[Image.Image]) -> list[NDArray[np.float32]]:
        """Of each page: (tokens, dimension), or (hidden size,) without a projection."""
        # colpali-engine and qwen-vl-utils resize in this way too. transformers' own processor makes
        # an image with a side below half a token smaller.
        resized = [
            image.resize(
                smart_resize(image.height, image.width, factor=self._around.factor, **self._pixels)
            )
            for image in images
        ]
        return self._with_images([self._around.page_prompt] * len(resized), resized)

    def queries(
        self, queries: Sequence[str], *, image: Image.Image | None = None
    ) -> list[NDArray[np.float32]]:
        """Of each query: (tokens, dimension), or (hidden size,) without a projection.

        Args:
            queries: The texts.
            image: What stands before each query, if its prompt has an image.
        """
        texts = [self._around.query_prompt % query for query in queries]
        if image is None:
            return self._encoded(texts, {})
        return self._with_images(texts, [image] * len(texts))

    def _with_images(
        self, prompts: Sequence[str], images: Sequence[Image.Image]
    ) -> list[NDArray[np.float32]]:
        pixels = self._images(images=list(images), return_tensors="pt")
        texts = [
            prompt.replace("<|image_pad|>", "<|image_pad|>" * (math.prod(grid) // 4), 1)
            for prompt, grid in zip(prompts, pixels["image_grid_thw"].tolist(), strict=True)
        ]
        return self._encoded(texts, pixels)

    @torch.no_grad()
    def _encoded(
        self, texts: Sequence[str], pixels: Mapping[str, torch.Tensor]
    ) -> list[NDArray[np.float32]]:
        tokens = self._tokenizer(list(texts), padding="longest", return_tensors="pt")
        inputs = {
            name: tensor.to(self.model.device) for name, tensor in {**tokens, **pixels}.items()
        }
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
            is_image = inputs["input_ids"] == self.model.config.image_token_id
            inputs["mm_token_type_ids"] = is_image.int()
        # transformers 5.3 would give a text the positions of the pages of an earlier call.
        self.model.model.rope_deltas = None
        mask = inputs["attention_mask"].bool()
        states = self.model.model(**inputs, use_cache=False).last_hidden_state
        if self._projection is None:
            return list(torch.nn.functional.normalize(states[:, -1].float(), dim=-1).cpu().numpy())
        projected = torch.nn.functional.linear(states, *self._projection)
        projected = projected / projected.norm(dim=-1, keepdim=True)
        return [row[kept].float().cpu().numpy() for row, kept in zip(projected, mask, strict=True)]
