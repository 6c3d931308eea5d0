"""Which model an index is used with: the caller's options over what the index was made with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder
    from vdr_integrations.index import Manifest

__all__ = ["DEFAULT_MODEL", "ModelSettings"]

DEFAULT_MODEL = "llamaindex/vdr-2b-multi-v1"
_DEFAULT_VISUAL_TOKENS = 768


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Options of ``load_encoder``; None where the caller said nothing."""

    model: str | None = None
    revision: str | None = None
    dimension: int | None = None
    max_visual_tokens: int | None = None
    device: str | None = None
    dtype: str = "auto"

    def load(self, manifest: Manifest | None = None) -> tuple[DenseEncoder, str, str | None]:
        """The encoder, and the model and revision that load it again.

        Args:
            manifest: Of the index, where there is one: gives what the caller left open.
        """
        from vdr_integrations.encoders import load_encoder

        model, revision = _whole_name(self.model or DEFAULT_MODEL), self.revision
        dimension, max_visual_tokens = self.dimension, self.max_visual_tokens
        if manifest is not None:
            if self.model is None:
                model, revision = manifest.model, self.revision or manifest.revision
            dimension = dimension or manifest.dimension
            max_visual_tokens = max_visual_tokens or manifest.max_visual_tokens
        encoder = load_encoder(
            model,
            revision=revision,
            dimension=dimension,
            max_visual_tokens=max_visual_tokens or _DEFAULT_VISUAL_TOKENS,
            device=self.device,
            dtype=self.dtype,
        )
        return encoder, model, revision


def _whole_name(model: str) -> str:
    """A folder's absolute path, so that the index can be used from anywhere; names as they are."""
    from vdr_integrations.encoders import KNOWN_CHECKPOINTS

    path = Path(model)
    return str(path.resolve()) if model not in KNOWN_CHECKPOINTS and path.is_dir() else model
