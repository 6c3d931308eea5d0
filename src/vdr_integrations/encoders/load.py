"""From a name and options to an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.encoders.checkpoint import checkpoint_for
from vdr_integrations.encoders.dense import DenseEncoder
from vdr_integrations.encoders.device import choose_attention, choose_device, choose_dtype
from vdr_integrations.encoders.shared_model import ModelOptions

if TYPE_CHECKING:
    import torch

    from vdr_integrations.encoders.checkpoint import Checkpoint

__all__ = ["load_encoder"]


def load_encoder(
    model: str,
    *,
    revision: str | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "auto",
    attn_implementation: str | None = None,
    dimension: int | None = None,
    max_visual_tokens: int = 768,
    batch_visual_tokens: int | None = None,
    checkpoint: Checkpoint | None = None,
    token: str | None = None,
    cache_dir: str | None = None,
    local_files_only: bool = False,
) -> DenseEncoder:
    """Load a Qwen2-VL retriever; equal options give the same weights in memory.

    No remote code is run and no pickle is read. HF_HOME, HF_TOKEN, HF_HUB_OFFLINE and the rest of
    huggingface_hub's environment work as in transformers.

    Args:
        model: ``"llamaindex/vdr-2b-multi-v1"``, another known hub id, ``"nano"`` (bundled, 24 MB,
            for trying things out), or a local folder.
        revision: Branch, tag or commit on the hub.
        device: ``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"cpu"``; None takes the best there is.
        dtype: ``"bfloat16"``, ``"float16"``, ``"float32"``; ``"auto"`` is bfloat16 on Ampere and
            later GPUs, float16 on older ones and on Metal, float32 on a CPU.
        attn_implementation: ``"sdpa"``, ``"flash_attention_2"``, ``"eager"``; None takes
            FlashAttention 2 where it is installed and usable, else SDPA.
        dimension: Matryoshka: how many leading components are kept, before normalising. None
            keeps all (1,536 for the 2B models).
        max_visual_tokens: Upper end of the pixel budget, 28 x 28 pixels each. 768 is what the
            vdr-2b-multi-v1 card recommends: more is slower and finer.
        batch_visual_tokens: Visual tokens in one pass of the model. None: 24,576 on CUDA (32
            pages), 3,072 on Metal; on a CPU one page at a time, which is as fast there.
        checkpoint: Prompts and pooling of a checkpoint that is not known by name.
        token: Hugging Face token, for private repositories.
        cache_dir: Where downloads are kept, instead of HF_HOME.
        local_files_only: Never look at the hub.

    Raises:
        OptionError: An option outside what is allowed.
        UnknownCheckpointError: Neither known nor described.
        CheckpointError: Files are missing or of another architecture.
        CheckpointWeightsError: Weights are missing, unexpected or of another shape.
    """
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    known = checkpoint_for(model, described=checkpoint)
    options = ModelOptions(
        checkpoint=known,
        revision=revision,
        device=chosen_device,
        dtype=chosen_dtype,
        attn_implementation=choose_attention(
            attn_implementation, device=chosen_device, dtype=chosen_dtype
        ),
        token=token,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
        batch_visual_tokens=batch_visual_tokens,
    )
    return DenseEncoder(options, dimension=dimension, max_visual_tokens=max_visual_tokens)
