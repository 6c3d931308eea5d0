"""What mteb writes beside results: name, revision, experiment, and facts of published models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mteb.models import ModelMeta
from mteb.models.model_meta import ScoringFunction

from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED

if TYPE_CHECKING:
    import torch

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder

__all__ = ["PUBLISHED", "meta_of"]

_QWEN2_VL_2B: Final[dict[str, Any]] = {
    # transformers' Qwen2VLForConditionalGeneration with the checkpoint's config.json.
    "n_parameters": 2_208_985_600,
    "n_embedding_parameters": 151_936 * 1_536,
    # Two bytes a parameter (the card: bf16 tensors), in MiB as mteb counts.
    "memory_usage_mb": 4_213,
}
_VDR: Final[dict[str, Any]] = {
    **_QWEN2_VL_2B,
    # Model cards of llamaindex/vdr-2b-multi-v1 and llamaindex/vdr-2b-v1.
    "license": "apache-2.0",
    "public_training_data": "https://huggingface.co/datasets/llamaindex/vdr-multilingual-train",
    "training_datasets": {"VDRMultilingualRetrieval"},
    "adapted_from": "MrLight/dse-qwen2-2b-mrl-v1",
    # huggingface.co/blog/vdr-2b-multilingual
    "release_date": "2025-01-10",
}
PUBLISHED: Final[dict[str, dict[str, Any]]] = {
    "llamaindex/vdr-2b-multi-v1": {
        **_VDR,
        "languages": ["eng-Latn", "ita-Latn", "fra-Latn", "deu-Latn", "spa-Latn"],
    },
    "llamaindex/vdr-2b-v1": {**_VDR, "languages": ["eng-Latn"]},
}
"""Facts by hub id; docs/mteb.md names the source of each."""

_UNKNOWN: Final[dict[str, Any]] = {
    "n_parameters": None,
    "memory_usage_mb": None,
    "license": None,
    "public_training_data": None,
    "training_datasets": None,
    "release_date": None,
    "languages": None,
}


def meta_of(
    model: str, encoder: DenseEncoder | MultiVectorEncoder, *, dtype: str | torch.dtype
) -> ModelMeta:
    """Facts of a loaded model, for mteb.

    Args:
        model: Name that the caller gave.
        encoder: The encoder of that name.
        dtype: Number format that the caller asked for.
    """
    experiment: dict[str, Any] = {
        "dimension": encoder.dimension,
        "max_visual_tokens": encoder.pixel_budget.max_visual_tokens,
    }
    if dtype != "auto":
        experiment["dtype"] = str(dtype).removeprefix("torch.")
    is_multi_vector = encoder.checkpoint.is_multi_vector
    return ModelMeta(
        loader=None,
        name=_name(model),
        revision=encoder.revision or encoder.core.facts.contents_digest[:40],
        max_tokens=encoder.core.facts.max_tokens,
        embed_dim=encoder.dimension,
        open_weights=True,
        public_training_code=None,
        framework=["PyTorch", "safetensors"],
        reference=f"https://huggingface.co/{model}" if model in PUBLISHED else None,
        similarity_fn_name=ScoringFunction.MAX_SIM if is_multi_vector else ScoringFunction.COSINE,
        use_instructions=True,
        modalities=["text", "image"],
        model_type=["late-interaction" if is_multi_vector else "dense"],
        experiment_kwargs=experiment,
        **{**_UNKNOWN, **PUBLISHED.get(model, {})},
    )


def _name(model: str) -> str:
    """A name with an organisation, as mteb wants it, and without the path of a folder."""
    if model in BUNDLED:
        return f"vdr-integrations/{model}"
    return f"local/{Path(model).resolve().name}" if Path(model).is_dir() else model
