"""The encoder settings of an index, and whether an encoder matches them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from vdr_integrations.encoders.checkpoints.known_checkpoints import KNOWN_CHECKPOINTS
from vdr_integrations.encoders.elsewhere.server_address import is_server_address
from vdr_integrations.encoders.elsewhere.vllm_name import ON_VLLM, is_on_vllm
from vdr_integrations.errors import IndexMismatchError, OptionError
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from vdr_integrations.encoders.page_encoder import PageEncoder

__all__ = ["Manifest", "whole_name"]

_WHY_NOT = (
    "Vectors of vLLM are compared only with those of vLLM: nobody can see from outside which "
    "weights and which arithmetic a server uses."
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The settings that every vector of an index shares.

    Attributes:
        fingerprint: Fingerprint of the encoder; vectors with different fingerprints are never
            compared.
        model: Name or folder with which ``load_encoder`` loads the encoder again; of a model on a
            vLLM server ``"vllm:"`` and its name, for which ``load_encoder`` needs an address.
        revision: Requested revision on the Hub; None for the default one.
        dimension: Length of a vector.
        max_visual_tokens: Pixel budget of a page.
        min_visual_tokens: Its lower limit.
        token_side_px: Side of the square of a visual token, in pixels.
    """

    fingerprint: str
    model: str
    revision: str | None
    dimension: int
    max_visual_tokens: int
    min_visual_tokens: int = 1
    token_side_px: int = 28

    @classmethod
    def of(
        cls, encoder: PageEncoder, *, model: str | None = None, revision: str | None = None
    ) -> Self:
        """The manifest of a new index.

        Args:
            encoder: The encoder that makes the vectors.
            model: The model that was given to ``load_encoder``; None, or the address of a server,
                uses the encoder's own name, with which the index can be used without that server.
                The path of a folder is stored as an absolute path, so that the index can be used
                from any working directory.
            revision: The revision that was given to ``load_encoder``.
        """
        return cls(
            fingerprint=encoder.fingerprint,
            model=whole_name(encoder.name if model is None or is_server_address(model) else model),
            revision=revision,
            dimension=encoder.dimension,
            max_visual_tokens=encoder.pixel_budget.max_visual_tokens,
            min_visual_tokens=encoder.pixel_budget.min_visual_tokens,
            token_side_px=encoder.pixel_budget.factor,
        )

    @classmethod
    def of_either(cls, manifest: Self | None, encoder: PageEncoder | None) -> Self:
        """The given manifest, or the manifest of the given encoder.

        Raises:
            OptionError: Neither or both were given.
        """
        if manifest is not None and encoder is None:
            return manifest
        if manifest is None and encoder is not None:
            return cls.of(encoder)
        raise OptionError("a new index needs either a manifest or an encoder, not both.")

    @property
    def pixel_budget(self) -> PixelBudget:
        """The encoder's pixel budget, without loading it."""
        return PixelBudget(
            max_visual_tokens=self.max_visual_tokens,
            min_visual_tokens=self.min_visual_tokens,
            factor=self.token_side_px,
        )

    def __str__(self) -> str:
        """The encoder in words, for messages."""
        return _describe(self.model, self.dimension, self.max_visual_tokens, self.fingerprint)

    def check_name(self, model: str, *, index_path: Path | str) -> None:
        """Refuse a model that is known to be another one, before it is downloaded.

        Names that are not known may stand for the same model, and models of the other kind have a
        message of their own: they are let pass here.

        Raises:
            IndexMismatchError: Both are known checkpoints of this kind, and not the same one; or
                vLLM made the index, and the other model is loaded here.
        """
        if is_on_vllm(self.model) and not (is_on_vllm(model) or is_server_address(model)):
            raise IndexMismatchError(
                f"index {index_path} was made by a vLLM server of {self.model[len(ON_VLLM) :]}, "
                f"and cannot be used with {model}, which is loaded here. {_WHY_NOT} Name the "
                f"address of such a server as the model, or index into another folder."
            )
        made_by, asked = (KNOWN_CHECKPOINTS.get(name) for name in (self.model, model))
        if made_by is None or asked is None or made_by is asked:
            return
        if made_by.pooling == asked.pooling:
            raise IndexMismatchError(
                f"index {index_path} was made by {self.model} and cannot be used with {model}: "
                f"their vectors cannot be compared. Use the model of the index, or index into "
                f"another folder."
            )

    def check(self, encoder: PageEncoder, *, index_path: Path | str) -> None:
        """Refuse an encoder whose vectors cannot be compared with those of the index.

        Raises:
            IndexMismatchError: Another fingerprint; the message names both encoders.
        """
        if encoder.fingerprint == self.fingerprint:
            return
        found = _describe(
            encoder.name,
            encoder.dimension,
            encoder.pixel_budget.max_visual_tokens,
            encoder.fingerprint,
        )
        why = f" {_WHY_NOT}" if is_on_vllm(self.model) != is_on_vllm(encoder.name) else ""
        raise IndexMismatchError(
            f"index {index_path} was made by {self} and cannot be used with {found}: "
            f"their vectors cannot be compared.{why} Use the model and settings of the index, "
            f"or index into another folder."
        )


def whole_name(model: str) -> str:
    """The absolute path of a folder; the name of a checkpoint as it is."""
    path = Path(model)
    return str(path.resolve()) if model not in KNOWN_CHECKPOINTS and path.is_dir() else model


def _describe(model: str, dimension: int, max_visual_tokens: int, fingerprint: str) -> str:
    return (
        f"{model} (dimension {dimension}, {max_visual_tokens} visual tokens, "
        f"fingerprint {fingerprint[:12]})"
    )
