"""What an index was made with, and whether an encoder fits it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from vdr_integrations.encoders.checkpoints.description import KNOWN_CHECKPOINTS, checkpoint_for
from vdr_integrations.errors import IndexMismatchError, OptionError, UnknownCheckpointError
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from vdr_integrations.encoders.page_encoder import PageEncoder

__all__ = ["Manifest", "whole_name"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The settings that every vector of an index shares.

    Attributes:
        fingerprint: Of the encoder; vectors of different fingerprints are never compared.
        model: What ``load_encoder`` takes to load the encoder again.
        revision: Hub revision that was asked for, None for the default one.
        dimension: Numbers in a vector.
        max_visual_tokens: Pixel budget of a page.
    """

    fingerprint: str
    model: str
    revision: str | None
    dimension: int
    max_visual_tokens: int

    @classmethod
    def of(
        cls, encoder: PageEncoder, *, model: str | None = None, revision: str | None = None
    ) -> Self:
        """The manifest of a new index.

        Args:
            encoder: Makes the vectors.
            model: What ``load_encoder`` was given; the encoder's own name when left out. Of a
                folder its absolute path is kept, so that the index can be used from anywhere.
            revision: What ``load_encoder`` was given.
        """
        return cls(
            fingerprint=encoder.fingerprint,
            model=whole_name(encoder.name if model is None else model),
            revision=revision,
            dimension=encoder.dimension,
            max_visual_tokens=encoder.pixel_budget.max_visual_tokens,
        )

    @classmethod
    def of_either(cls, manifest: Self | None, encoder: PageEncoder | None) -> Self:
        """The manifest that was given, or that of the encoder that was.

        Raises:
            OptionError: Neither or both.
        """
        if manifest is not None and encoder is None:
            return manifest
        if manifest is None and encoder is not None:
            return cls.of(encoder)
        raise OptionError("a new index takes a manifest or an encoder, and not both.")

    @property
    def pixel_budget(self) -> PixelBudget:
        """The encoder's, without loading it; of an unknown checkpoint, as far as can be told."""
        try:
            least = checkpoint_for(self.model).min_visual_tokens
        except UnknownCheckpointError:
            least = 1
        most = self.max_visual_tokens
        return PixelBudget(max_visual_tokens=most, min_visual_tokens=min(least, most))

    def check(self, encoder: PageEncoder, *, index_path: Path | str) -> None:
        """Refuse an encoder whose vectors cannot be compared with those of the index.

        Raises:
            IndexMismatchError: Other fingerprint; the message names both encoders.
        """
        if encoder.fingerprint == self.fingerprint:
            return
        made_by = _describe(self.model, self.dimension, self.max_visual_tokens, self.fingerprint)
        found = _describe(
            encoder.name,
            encoder.dimension,
            encoder.pixel_budget.max_visual_tokens,
            encoder.fingerprint,
        )
        raise IndexMismatchError(
            f"index {index_path} was made by {made_by} and cannot be used with {found}: "
            f"their vectors do not compare. Use the model and settings of the index, "
            f"or index into another folder."
        )


def whole_name(model: str) -> str:
    """A folder's absolute path; names of checkpoints as they are."""
    path = Path(model)
    return str(path.resolve()) if model not in KNOWN_CHECKPOINTS and path.is_dir() else model


def _describe(model: str, dimension: int, max_visual_tokens: int, fingerprint: str) -> str:
    return (
        f"{model} (dimension {dimension}, {max_visual_tokens} visual tokens, "
        f"fingerprint {fingerprint[:12]})"
    )
