"""Which distributions are published, and what their files say."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["DISTRIBUTIONS", "MAIN", "ROOT", "THIN", "Distribution"]

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A folder that becomes a source distribution and a wheel."""

    name: str
    folder: Path
    module: str
    """What is imported of it."""

    @property
    def described(self) -> dict[str, Any]:
        """Its pyproject.toml."""
        return tomllib.loads((self.folder / "pyproject.toml").read_text(encoding="utf-8"))

    @property
    def version(self) -> str:
        """Its version."""
        return str(self.described["project"]["version"])

    @property
    def file_name(self) -> str:
        """With what the names of its files begin."""
        return f"{self.name.replace('-', '_')}-{self.version}"

    def wheel(self, dist: Path) -> Path:
        """Its wheel among the files that were built."""
        return dist / f"{self.file_name}-py3-none-any.whl"

    def source(self, dist: Path) -> Path:
        """Its source distribution among the files that were built."""
        return dist / f"{self.file_name}.tar.gz"


def _thin(name: str, module: str) -> Distribution:
    return Distribution(name=name, folder=ROOT / "packages" / name, module=module)


MAIN = Distribution(name="vdr-integrations", folder=ROOT, module="vdr_integrations")
THIN = (
    _thin("langchain-vdr", "langchain_vdr"),
    _thin("llama-index-embeddings-vdr", "llama_index.embeddings.vdr"),
    _thin("llama-index-readers-vdr", "llama_index.readers.vdr"),
    _thin("llama-index-retrievers-vdr", "llama_index.retrievers.vdr"),
    _thin("llama-index-postprocessor-vdr", "llama_index.postprocessor.vdr"),
)
DISTRIBUTIONS = (MAIN, *THIN)
