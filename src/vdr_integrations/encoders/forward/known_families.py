"""The families that this package computes, and those that are near but not the same."""

from __future__ import annotations

from vdr_integrations.encoders.forward.qwen2_5_vl import QWEN2_5_VL
from vdr_integrations.encoders.forward.qwen2_vl import QWEN2_VL
from vdr_integrations.encoders.forward.qwen3_vl import QWEN3_VL

__all__ = ["FAMILIES", "NOT_COMPUTED"]

FAMILIES = {family.model_type: family for family in (QWEN2_VL, QWEN2_5_VL, QWEN3_VL)}
"""By the ``model_type`` of their ``config.json``."""

NOT_COMPUTED = {
    "colmodernvbert": "SigLIP's vision tower and ModernBERT, which attends in both directions",
    "colpali": "PaliGemma: SigLIP's vision tower and Gemma's decoder",
    "idefics3": "SigLIP's vision tower, pixel shuffle and Llama's decoder",
    "llama_nemotron_vl": "SigLIP's vision tower, and Llama that attends in both directions",
    "modernvbert": "SigLIP's vision tower and ModernBERT, which attends in both directions",
    "paligemma": "SigLIP's vision tower and Gemma's decoder",
    "qwen2_5_omni": "the tower for sound, and positions in time of sound and pictures together",
    "qwen3_5": "the gated delta nets of three layers of its decoder in four",
    "qwen3_5_moe": "the gated delta nets of three layers of its decoder in four, and its experts",
    "qwen3_vl_nemotron_embed": "a decoder that attends in both directions",
    "qwen3_omni_moe": "the tower for sound, and the experts of its decoder",
    "qwen3_vl_moe": "the experts of its decoder",
}
"""What is missing here to compute models whose architecture is near to a family's, by
``model_type``."""
