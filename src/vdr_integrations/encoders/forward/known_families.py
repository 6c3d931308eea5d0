"""The families that this package computes."""

from __future__ import annotations

from vdr_integrations.encoders.forward.qwen2_5_vl import QWEN2_5_VL
from vdr_integrations.encoders.forward.qwen2_vl import QWEN2_VL
from vdr_integrations.encoders.forward.qwen3_vl import QWEN3_VL

__all__ = ["FAMILIES"]

FAMILIES = {family.model_type: family for family in (QWEN2_VL, QWEN2_5_VL, QWEN3_VL)}
"""By the ``model_type`` of their ``config.json``."""
