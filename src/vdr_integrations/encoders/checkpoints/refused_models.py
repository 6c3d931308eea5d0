"""Published models that are refused, and why."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REFUSED_MODELS", "RefusedModels", "why_refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedModels:
    """Published models that this package does not load.

    Attributes:
        models: Their names.
        signs: How their ``config.json`` is recognised: ``model_type``, or one of ``architectures``.
        why: What is missing here.
    """

    models: str
    signs: tuple[str, ...]
    why: str


_DELTA_NETS = "the gated delta nets of three layers of its decoder in four"

REFUSED_MODELS = (
    RefusedModels(
        models="nvidia/nemotron-colembed-vl-4b-v2, -8b-v2",
        signs=("qwen3_vl_nemotron_embed", "Qwen3VLNemotronEmbedModel"),
        why="a decoder that attends in both directions",
    ),
    RefusedModels(
        models="nvidia/llama-nemotron-colembed-vl-3b-v2 and older ones",
        signs=("llama_nemotron_vl",),
        why="SigLIP's vision tower, and Llama that attends in both directions",
    ),
    RefusedModels(
        models="ColQwen3.5, ColVec1, VultronRetriever", signs=("qwen3_5",), why=_DELTA_NETS
    ),
    RefusedModels(
        models="webAI-ColVec1.1-8b",
        signs=("ColQwen35Bidirection",),
        why="a decoder that attends in both directions",
    ),
    RefusedModels(
        models="Qwen3.5 with experts", signs=("qwen3_5_moe",), why=f"{_DELTA_NETS}, and its experts"
    ),
    RefusedModels(
        models="Qwen3-VL with experts", signs=("qwen3_vl_moe",), why="the experts of its decoder"
    ),
    RefusedModels(
        models="Qwen2.5-Omni",
        signs=("qwen2_5_omni",),
        why="the tower for sound, and positions in time of sound and pictures together",
    ),
    RefusedModels(
        models="Qwen3-Omni",
        signs=("qwen3_omni_moe",),
        why="the tower for sound, and the experts of its decoder",
    ),
    RefusedModels(
        models="ColPali",
        signs=("colpali", "paligemma"),
        why="SigLIP's vision tower and Gemma's decoder",
    ),
    RefusedModels(
        models="ColSmol, ColIdefics3",
        signs=("idefics3",),
        why="SigLIP's vision tower, pixel shuffle and Llama's decoder",
    ),
    RefusedModels(
        models="ColModernVBERT",
        signs=("colmodernvbert", "modernvbert"),
        why="SigLIP's vision tower and ModernBERT, which attends in both directions",
    ),
    RefusedModels(
        models="jinaai/jina-embeddings-v4",
        signs=("JinaEmbeddingsV4Model",),
        why="the mean of states, and an adapter for each task (its licence is not commercial)",
    ),
    RefusedModels(
        models="eager-embed-v1",
        signs=("EagerEmbedModel",),
        why="vectors of states before the last norm",
    ),
)
"""What is refused by name, with what this package does not compute."""


def why_refused(sign: object) -> str | None:
    """What is missing here for a ``model_type`` or one of ``architectures``; None if nothing is."""
    return next((one.why for one in REFUSED_MODELS if sign in one.signs), None)
