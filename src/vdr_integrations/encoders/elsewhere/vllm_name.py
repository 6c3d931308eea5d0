"""Names of models on vLLM servers: they are never taken for models that are loaded here."""

from __future__ import annotations

__all__ = ["ON_VLLM", "is_on_vllm", "name_on_vllm"]

ON_VLLM = "vllm:"
"""With this the name of an encoder begins whose vectors come from vLLM, also in an index."""


def name_on_vllm(checkpoint: str) -> str:
    """The name of a checkpoint that vLLM serves: ``"vllm:TomoroAI/tomoro-colqwen3-embed-4b"``."""
    return f"{ON_VLLM}{checkpoint}"


def is_on_vllm(model: str) -> bool:
    """Whether a name is that of a model on a vLLM server."""
    return model.startswith(ON_VLLM)
