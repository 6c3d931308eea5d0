"""Patches and positions beside transformers' own."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.image_processor import Qwen2VLImageProcessorPil
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import Qwen2VLConfig
from transformers.models.qwen2_vl import modeling_qwen2_vl as stock

from vdr_integrations.encoders.forward.patch_embedding import BytePatchEmbedding
from vdr_integrations.encoders.preprocessing.patches import (
    patch_positions,
    patchify,
    rope_positions,
)
from vdr_integrations.types import PageImage, PixelBudget

grids = st.tuples(st.integers(1, 12), st.integers(1, 12)).map(lambda g: (g[0] * 2, g[1] * 2))


def picture(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def normalised(patches: np.ndarray, processor: Qwen2VLImageProcessorPil) -> np.ndarray:
    """Our bytes as transformers' float32 rows: normalised, each channel for two frames."""
    mean, std = (
        np.array(values)[:, None] for values in (processor.image_mean, processor.image_std)
    )
    by_channel = patches.reshape(len(patches), -1, 3).transpose(0, 2, 1)
    channels = (by_channel / 255 - mean) / std
    return np.stack([channels, channels], axis=2).reshape(len(patches), -1)


@given(width=st.integers(20, 1500), height=st.integers(20, 1500), tokens=st.integers(16, 768))
@settings(max_examples=25, deadline=None)
def test_patches_are_those_of_transformers_image_processor(
    width: int, height: int, tokens: int
) -> None:
    processor = Qwen2VLImageProcessorPil(min_pixels=784, max_pixels=tokens * 784)
    image = picture(width, height)
    expected = processor(images=[image], return_tensors="np")
    # transformers overruns its own limit for very long images; we do not.
    assume(expected["pixel_values"].shape[0] <= tokens * 4)
    fitted = PageImage.from_pil(image).render(PixelBudget(max_visual_tokens=tokens))
    assert [[1, fitted.height // 14, fitted.width // 14]] == expected["image_grid_thw"].tolist()
    ours = normalised(patchify(fitted), processor)
    assert np.abs(ours - expected["pixel_values"]).max() < 1e-5


def test_the_byte_patch_embedding_is_the_convolution_over_normalised_pixels() -> None:
    torch.manual_seed(0)
    convolution = stock.PatchEmbed(14, 2, 3, 48)
    processor = Qwen2VLImageProcessorPil(min_pixels=784, max_pixels=768 * 784)
    image = picture(560, 280)
    bytes_embedding = BytePatchEmbedding(
        convolution.proj.weight, mean=processor.image_mean, std=processor.image_std
    )
    with torch.no_grad():
        expected = convolution(processor(images=[image], return_tensors="pt")["pixel_values"])
        found = bytes_embedding(torch.from_numpy(patchify(image)))
    assert torch.allclose(found, expected, atol=2e-5)


@given(grid=grids)
@settings(deadline=None)
def test_patch_positions_are_those_of_transformers(grid: tuple[int, int]) -> None:
    expected = transformers_positions(torch.tensor([[1, *grid]]))
    assert np.array_equal(patch_positions(grid), expected.numpy())


def transformers_positions(grids: torch.Tensor) -> torch.Tensor:
    if find_spec("transformers.vision_utils"):
        from transformers.vision_utils import get_vision_position_ids

        return get_vision_position_ids(grids, 2)
    # 5.3's tower makes angles at once. The first frequency of each half is 1.
    config: Any = small_config()
    tower: Any = stock.Qwen2VisionTransformerPretrainedModel(config.vision_config)
    angles = tower.rot_pos_emb(grids)
    return angles[:, [0, angles.shape[1] // 2]].long()


@given(grid=grids, before=st.integers(1, 30), after=st.integers(1, 30))
@settings(deadline=None, max_examples=30)
def test_rope_positions_are_those_of_transformers(
    grid: tuple[int, int], before: int, after: int
) -> None:
    visual = grid[0] * grid[1] // 4
    ids = torch.ones((1, before + visual + after), dtype=torch.long)
    ids[0, before : before + visual] = 9
    with torch.device("meta"):
        model: Any = stock.Qwen2VLModel(small_config())
    expected, _ = model.get_rope_index(
        ids, mm_token_type_ids=(ids == 9).int(), image_grid_thw=torch.tensor([[1, *grid]])
    )
    found = rope_positions(before=before, grid=grid, after=after)
    assert np.array_equal(found, expected[:, 0].numpy())


def small_config() -> Qwen2VLConfig:
    return Qwen2VLConfig(
        text_config={
            "vocab_size": 16,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "num_key_value_heads": 1,
            "bos_token_id": 0,
            "eos_token_id": 0,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]},
        },
        vision_config={"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 1},
        image_token_id=9,
        video_token_id=10,
        vision_start_token_id=11,
    )


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA"])
def test_a_page_in_any_mode_becomes_rgb_patches(mode: str) -> None:
    page = PageImage.from_pil(picture(56, 56).convert("RGB").convert(mode))
    assert patchify(page.render(PixelBudget())).shape == (16, 588)
