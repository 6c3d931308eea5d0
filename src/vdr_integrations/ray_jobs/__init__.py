"""Indexing and encoding on several machines, with Ray.

    from vdr_integrations import PageSearcher
    from vdr_integrations.encoders import EncoderOptions
    from vdr_integrations.ray_jobs import index_with_ray

    index_with_ray("reports-index", ["/shared/reports"], encoder=EncoderOptions(model="nano"))
    searcher = PageSearcher("reports-index")

The same as a command: ``vdr index /shared/reports --index reports-index --ray auto``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdr_integrations.ray_jobs.encode_rows import EncodeRows
    from vdr_integrations.ray_jobs.index_on_cluster import index_with_ray

__all__ = ["EncodeRows", "index_with_ray"]

_HOMES = {
    "EncodeRows": "encode_rows",
    "index_with_ray": "index_on_cluster",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562; the first use imports torch
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
