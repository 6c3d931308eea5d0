"""Write a trained model as a standard Qwen2-VL folder, and check it against transformers.

The layout is the one of the published Qwen2-VL checkpoints (flat config.json, tied lm_head left
out), so that transformers 4 and 5 both read it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from training.prompts import DOCUMENT_PROMPT, QUERY_PROMPT
from training.tokenizer import save_tokenizer
from training.vision import MERGE, PATCH, PIXEL_MEAN, PIXEL_STD

if TYPE_CHECKING:
    from pathlib import Path

    from training.nano import Nano

MAX_TOKENS = 768
FRAMES = 2


def checkpoint_tensors(model: Nano, dtype: torch.dtype = torch.bfloat16) -> dict[str, Tensor]:
    """Tensors under the names of Qwen2-VL's checkpoints."""
    tensors = {f"visual.{name}": value for name, value in model.visual.state_dict().items()}
    frame = tensors.pop("visual.patch_embed.weight").view(-1, 3, 1, PATCH, PATCH)
    tensors["visual.patch_embed.proj.weight"] = frame.expand(-1, -1, FRAMES, -1, -1) / FRAMES
    tensors |= {f"model.{name}": value for name, value in model.text.state_dict().items()}
    return {name: value.to(dtype).contiguous() for name, value in tensors.items()}


def checkpoint_config(model: Nano) -> dict:
    """The contents of config.json."""
    text, vision = model.text.config, model.visual.config
    token = model.tokenizer.token_to_id
    return {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "attention_dropout": 0.0,
        "bos_token_id": token("<|endoftext|>"),
        "eos_token_id": token("<|im_end|>"),
        "pad_token_id": token("<|endoftext|>"),
        "vision_start_token_id": token("<|vision_start|>"),
        "vision_end_token_id": token("<|vision_end|>"),
        "image_token_id": token("<|image_pad|>"),
        "video_token_id": token("<|video_pad|>"),
        "hidden_act": "silu",
        "hidden_size": text.hidden,
        "initializer_range": 0.02,
        "intermediate_size": text.inner,
        "max_position_embeddings": 4096,
        "max_window_layers": text.layers,
        "num_attention_heads": text.heads,
        "num_hidden_layers": text.layers,
        "num_key_value_heads": text.heads,
        "rms_norm_eps": text.eps,
        "rope_theta": text.theta,
        "rope_scaling": {"type": "mrope", "mrope_section": list(text.sections)},
        "sliding_window": None,
        "use_sliding_window": False,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": text.vocabulary,
        "vision_config": {
            "model_type": "qwen2_vl",
            "depth": vision.depth,
            "embed_dim": vision.width,
            "hidden_act": "quick_gelu",
            "hidden_size": vision.hidden,
            "in_channels": 3,
            "in_chans": 3,
            "mlp_ratio": vision.mlp_ratio,
            "num_heads": vision.heads,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "spatial_patch_size": PATCH,
            "temporal_patch_size": FRAMES,
        },
    }


def image_processor_config() -> dict:
    """The contents of preprocessor_config.json."""
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(PIXEL_MEAN),
        "image_std": list(PIXEL_STD),
        "min_pixels": (PATCH * MERGE) ** 2,
        "max_pixels": MAX_TOKENS * (PATCH * MERGE) ** 2,
        "merge_size": MERGE,
        "patch_size": PATCH,
        "temporal_patch_size": FRAMES,
        "resample": 3,
        "rescale_factor": 1 / 255,
    }


def export(model: Nano, folder: Path) -> None:
    """Write the checkpoint folder (all but the model card)."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(checkpoint_tensors(model), folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in (
        ("config.json", checkpoint_config(model)),
        ("preprocessor_config.json", image_processor_config()),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    save_tokenizer(model.tokenizer, folder)


@torch.no_grad()
def verify(model: Nano, folder: Path) -> float:
    """Least cosine between this model's vectors and stock transformers', both in float32."""
    from benchmarks.image_processor import (
        Qwen2VLImageProcessorPil,
    )
    from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration

    model.load_state_dict({k: v.to(torch.bfloat16).float() for k, v in model.state_dict().items()})
    stock, info = Qwen2VLForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    problems = {k: v for k, v in info.items() if k != "error_msgs" and v}
    if problems:
        raise ValueError(f"the checkpoint does not fit: {problems}")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    images = Qwen2VLImageProcessorPil.from_pretrained(folder)
    page = np.random.default_rng(0).integers(0, 255, (112, 252, 3), dtype=np.uint8)
    black = np.zeros((56, 56, 3), np.uint8)
    query = "Che cos'è la versione 2.0?"
    ours = [model.encode_images(torch.from_numpy(page)[None]), model.encode_queries([query])]
    cosines = []
    for image, prompt, own in zip(
        (page, black), (DOCUMENT_PROMPT, QUERY_PROMPT % query), ours, strict=True
    ):
        inputs = images(images=[image], return_tensors="pt")
        cells = int(inputs["image_grid_thw"].prod()) // MERGE**2
        ids = tokenizer(
            prompt.replace("<|image_pad|>", "<|image_pad|>" * cells), return_tensors="pt"
        )
        types = (ids["input_ids"] == stock.config.image_token_id).int()
        ids.pop("token_type_ids", None)
        states = stock.model(**ids, mm_token_type_ids=types, **inputs).last_hidden_state
        cosines.append(torch.cosine_similarity(states[:, -1], own).item())
    return min(cosines)
