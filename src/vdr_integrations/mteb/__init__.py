"""Encoders as models of ``mteb``, the library behind the MTEB and ViDoRe leaderboards.

    import mteb
    from vdr_integrations.mteb import mteb_model

    model = mteb_model("llamaindex/vdr-2b-multi-v1", dimension=1536, max_visual_tokens=768)
    results = mteb.evaluate(model, mteb.get_tasks(tasks=["VDRMultilingualRetrieval"]))

The same as a command: ``python -m vdr_integrations.mteb MODEL TASK...``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdr_integrations.mteb.measured_model import mteb_model

__all__ = ["mteb_model"]

_HOMES = {"mteb_model": "measured_model"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562; the first use imports torch
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
