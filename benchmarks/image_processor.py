"""transformers' image processor without torchvision, which has had two names."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
        Qwen2VLImageProcessorPil,
        smart_resize,
    )
else:
    _MODELS = "transformers.models.qwen2_vl"
    _NEW = f"{_MODELS}.image_processing_pil_qwen2_vl"
    if find_spec(_NEW) is not None:
        _module: Any = import_module(_NEW)
        Qwen2VLImageProcessorPil = _module.Qwen2VLImageProcessorPil
    else:  # up to 5.3
        _module = import_module(f"{_MODELS}.image_processing_qwen2_vl")
        Qwen2VLImageProcessorPil = _module.Qwen2VLImageProcessor
    smart_resize = _module.smart_resize

__all__ = ["Qwen2VLImageProcessorPil", "smart_resize"]
