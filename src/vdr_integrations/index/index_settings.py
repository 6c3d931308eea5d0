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

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What an index was made with.

    Attributes:
        tokens: Settings of the multi-vector encoder; None if there are no token vectors.
        dense: Settings of the dense encoder; None if there are no dense vectors.
        compression: How token vectors are stored.
        prompts: The encoder's prompts by name, for display.
    """

    tokens: Manifest | None
    dense: Manifest | None
    compression: Compression
    prompts: dict[str, str]

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
        tokens, dense = found["tokens"], found["dense"]
        return cls(
            tokens=None if tokens is None else Manifest(**tokens),
            dense=None if dense is None else Manifest(**dense),
            compression=Compression(**found["compression"]),
            prompts=dict(found["prompts"]),
        )
