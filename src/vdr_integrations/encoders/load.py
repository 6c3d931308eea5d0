"""From a name and options to an encoder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack, overload

import torch

from vdr_integrations.encoders.checkpoints.contents import read_contents
from vdr_integrations.encoders.checkpoints.description import (
    BUNDLED,
    KNOWN_CHECKPOINTS,
    checkpoint_for,
)
from vdr_integrations.encoders.checkpoints.load_weights import stored_dtype
from vdr_integrations.encoders.dense_encoder import DenseEncoder
from vdr_integrations.encoders.multi_vector_encoder import MultiVectorEncoder
from vdr_integrations.encoders.runtime.device_and_dtype import (
    choose_attention,
    choose_device,
    choose_dtype,
    choose_packing,
)
from vdr_integrations.encoders.runtime.shared_model import ModelOptions, files_of
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.description import Checkpoint

__all__ = ["load_encoder"]

MultiVectorModel = Literal[
    "vidore/colqwen2-v1.0",
    "vidore/colqwen2-v0.1",
    "vidore/colqwen2-base",
    "vidore/colqwen2-v1.0-hf",
    "nano-colqwen2",
]
"""Names that type checkers know to give a :class:`MultiVectorEncoder`. What a folder gives follows
from its checkpoint; ``isinstance`` tells."""


class _Options(TypedDict, total=False):
    revision: str | None
    device: str | torch.device | None
    dtype: str | torch.dtype
    attn_implementation: str | None
    dimension: int | None
    max_visual_tokens: int
    batch_visual_tokens: int | None
    checkpoint: Checkpoint | None
    token: str | None
    cache_dir: str | None
    local_files_only: bool


@overload
def load_encoder(  # pyright: ignore[reportOverlappingOverload]  # str: the kind of a folder is not known statically
    model: MultiVectorModel, **options: Unpack[_Options]
) -> MultiVectorEncoder: ...


@overload
def load_encoder(model: str, **options: Unpack[_Options]) -> DenseEncoder: ...


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
) -> DenseEncoder | MultiVectorEncoder:
    """Load a Qwen2-VL retriever; the same files give the same weights in memory.

    Weights are loaded once for a device, dtype and attention, whatever name, revision, folder or
    token their files were found by, and shared by all encoders over them.

    A checkpoint that pools one vector a page gives a :class:`DenseEncoder`, a ColQwen2 one a
    :class:`MultiVectorEncoder`.

    No remote code is run and no pickle is read. HF_HOME, HF_TOKEN, HF_HUB_OFFLINE and the rest of
    huggingface_hub's environment work as in transformers.

    Args:
        model: ``"llamaindex/vdr-2b-multi-v1"``, ``"vidore/colqwen2-v1.0"``, another known hub id,
            ``"nano"`` (bundled, 24 MB, for trying things out), or a local folder.
        revision: Branch, tag or commit on the hub.
        device: ``"cuda"`` (the current GPU, see ``torch.cuda.set_device``), ``"cuda:1"``,
            ``"mps"``, ``"cpu"``; None takes the best there is.
        dtype: ``"bfloat16"``, ``"float16"``, ``"float32"``; ``"auto"`` is bfloat16 on Ampere and
            later GPUs and on Metal from macOS 14 on, float32 on older ones (float16 overflows in
            Qwen2-VL); on a CPU it is bfloat16 where the weights are published in it and the CPU
            multiplies it faster (AMX, AMD's AVX512-BF16), else float32. ``"int8"`` and ``"float8"``
            (not on Metal) keep weights in 8 bits and compute as with "auto": half the memory of
            bfloat16, vectors that differ a little (docs/performance.md).
        attn_implementation: None or ``"sdpa"`` for this package's own pass over torch's own
            kernels; ``"flash_attention_2"`` or ``"eager"`` for transformers' modules.
        dimension: Matryoshka: how many leading components are kept, before normalising. None
            keeps all (1,536 for the 2B models).
        max_visual_tokens: Upper end of the pixel budget, 28 x 28 pixels each. 768 is what the
            vdr-2b-multi-v1 card recommends: more is slower and finer.
        batch_visual_tokens: Visual tokens in one pass of the model; pages of two or three such
            batches are in memory. None: 24,576 on CUDA (32 pages), 3,072 on Metal; on a CPU one
            page at a time, which is as fast there.
        checkpoint: Prompts and pooling of a checkpoint that is not known by name.
        token: Hugging Face token, for private repositories.
        cache_dir: Where downloads are kept, instead of HF_HOME.
        local_files_only: Never look at the hub.

    Raises:
        OptionError: An option outside what is allowed.
        UnknownCheckpointError: Neither known nor described.
        CheckpointError: Files are missing or of another architecture.
        CheckpointWeightsError: Weights are missing, unexpected or of another shape.
        ForkedProcessError: A GPU that was in use before this process was forked.
    """
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    known = checkpoint_for(model, described=checkpoint)
    packing = choose_packing(dtype, chosen_device)
    if packing is not None and _is_bundled(known):
        # What its prompt adds is taken back to the last digit: cosines of queries fall to 0.5.
        raise OptionError(
            f"dtype={dtype!r}: {known.model} does not work with weights of 8 bits, and has only "
            f"24 MB of them; leave dtype out."
        )
    files = files_of(
        known.model,
        revision=revision,
        token=token,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
    )
    contents = read_contents(files)
    is_chosen_here = chosen_device.type == "cpu" and (dtype == "auto" or packing is not None)
    if is_chosen_here and chosen_dtype is torch.bfloat16:
        chosen_dtype = stored_dtype(contents)
    options = ModelOptions(
        checkpoint=known,
        files=files,
        device=chosen_device,
        dtype=chosen_dtype,
        packing=packing,
        attn_implementation=choose_attention(
            attn_implementation, device=chosen_device, dtype=chosen_dtype
        ),
    )
    kind = MultiVectorEncoder if known.is_multi_vector else DenseEncoder
    return kind(
        options,
        dimension=dimension,
        max_visual_tokens=max_visual_tokens,
        batch_visual_tokens=batch_visual_tokens,
        contents=contents,
    )


def _is_bundled(known: Checkpoint) -> bool:
    """Whether it is a bundled checkpoint, by its name or in a folder."""
    return any(replace(known, model=name) == KNOWN_CHECKPOINTS[name] for name in BUNDLED)
