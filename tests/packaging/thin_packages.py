"""The packages that only give names to parts of this one, importable from their folders."""

from __future__ import annotations

from release.distributions import THIN

__all__ = ["FOLDERS", "LANGCHAIN", "LLAMA_INDEX", "reachable"]

FOLDERS = [str(one.folder) for one in THIN]
LLAMA_INDEX = [one.module for one in THIN if one.module.startswith("llama_index.")]
LANGCHAIN = "langchain_vdr"


def reachable() -> str:
    """Code after which they can be imported."""
    return f"import sys\nsys.path.extend({FOLDERS!r})\n"
