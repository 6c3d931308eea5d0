"""Settings that all pages of an index share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from vdr_integrations.errors import IndexMismatchError
from vdr_integrations.index.compression import Compression
from vdr_integrations.index.manifest import Manifest

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.encoders import DenseEncoder

__all__ = ["FULL_TOKENS", "Correction", "Settings"]

FULL_TOKENS = 20
"""Query tokens from which a correction counts in full. A full correction costs manuals that are
asked by short titles; in proportion it does not (docs/evaluation.md)."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What an index says of its question bank, see ``QuestionBank``.

    Attributes:
        strength: Share of a page's bias that is subtracted from its MaxSim.
        tokens: Number of rows of the bank.
        digest: SHA-256 of the bank's vectors.
    """

    strength: float
    tokens: int
    digest: str

    def weight(self, query_tokens: int, *, strength: float | None = None) -> float:
        """How many times a page's bias is subtracted from its MaxSim with a question.

        Args:
            query_tokens: Rows of the question's matrix; below 20 of them, the correction counts in
                proportion.
            strength: Another strength than that of the index; None for that one.
        """
        share = min(1.0, query_tokens / FULL_TOKENS)
        return (self.strength if strength is None else strength) * share * query_tokens


@dataclass(frozen=True, slots=True)
class Settings:
    """What an index was made with.

    Attributes:
        tokens: Settings of the multi-vector encoder; None if there are no token vectors.
        dense: Settings of the dense encoder; None if there are no dense vectors.
        compression: How token vectors are stored.
        prompts: The encoder's prompts by name, for display.
        correction: The question bank by which scores are corrected; None for MaxSim alone.
    """

    tokens: Manifest | None
    dense: Manifest | None
    compression: Compression
    prompts: dict[str, str]
    correction: Correction | None = None

    def check_dense(self, encoder: DenseEncoder, *, location: Path | str) -> None:
        """Refuse a dense encoder that did not make the dense vectors of the index.

        Raises:
            IndexMismatchError: Another fingerprint, or the index has no dense vectors.
        """
        if self.dense is None:
            raise IndexMismatchError(
                f"index {location} was made without dense vectors; leave dense_encoder out, or "
                f"index again with dense_manifest."
            )
        self.dense.check(encoder, index_path=location)

    def to_json(self) -> dict[str, Any]:
        """The settings in a form that ``json`` can write."""
        return asdict(self)

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> Self:
        """The settings that :meth:`to_json` returned.

        Raises:
            KeyError: A setting is missing.
            TypeError: A setting is unknown, or a part of the JSON has another type.
            ValueError: A value is not allowed.
        """
        tokens, dense, correction = (found[name] for name in ("tokens", "dense", "correction"))
        return cls(
            tokens=None if tokens is None else Manifest(**tokens),
            dense=None if dense is None else Manifest(**dense),
            compression=Compression(**found["compression"]),
            prompts=dict(found["prompts"]),
            correction=None if correction is None else Correction(**correction),
        )
