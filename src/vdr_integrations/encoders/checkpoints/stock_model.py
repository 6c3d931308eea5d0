"""transformers' own model, for the ways of attention that only it computes.

The only file that imports transformers. The import takes as long as that of torch.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import transformers
from transformers.utils import logging as transformers_logging

from vdr_integrations.encoders.checkpoints.model_config import CONFIG
from vdr_integrations.errors import CheckpointWeightsError

if TYPE_CHECKING:
    from collections.abc import Generator

    import torch

    from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFolder
    from vdr_integrations.encoders.forward.family import Family

__all__ = ["stock_model"]

_Loose = Any
"""transformers' types of models and configurations are too loose to help a type checker."""


def stock_model(
    folder: CheckpointFolder,
    tensors: dict[str, torch.Tensor],
    *,
    family: Family,
    dtype: torch.dtype,
    attn_implementation: str,
) -> _Loose:
    """Make transformers' model of tensors that have the names and shapes of a ``ModelTree``.

    Args:
        folder: Its configuration is read by transformers.
        tensors: Weights of the whole backbone.
        family: Of the model.
        dtype: Format of the weights.
        attn_implementation: As in transformers.

    Raises:
        CheckpointWeightsError: This version of transformers needs other weights.
    """
    stock: _Loose = getattr(transformers, family.stock_model)
    facts = folder.facts(CONFIG)
    # transformers does not know every name under which a model of a family was published.
    facts = {**facts.get("vlm_config", facts), "model_type": family.model_type}
    config: _Loose = stock.config_class.from_dict(facts)
    with _quiet_loading():
        loaded: _Loose = stock.from_pretrained(
            None,
            config=config,
            state_dict=tensors,
            dtype=dtype,
            attn_implementation=attn_implementation,
            output_loading_info=True,
        )
    model, report = loaded
    lost = [*report["missing_keys"], *report["unexpected_keys"]]
    if lost:
        raise CheckpointWeightsError(
            f"{folder.files.model}: transformers does not know these weights, or needs them under "
            f"another name: {', '.join(sorted(lost)[:6])}. Leave attn_implementation out, or "
            f"install a version of transformers that vdr-integrations supports."
        )
    return model


@contextmanager
def _quiet_loading() -> Generator[None]:
    # Problems in the report are raised as an error, so it is not printed too. Downloads have their
    # own progress bars (HF_HUB_DISABLE_PROGRESS_BARS).
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
