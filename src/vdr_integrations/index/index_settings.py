"""What every page of an index shares."""

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
        tokens: Settings of the multi-vector encoder, None where there are no token vectors.
        dense: Settings of the dense encoder, None where there are no dense vectors.
        compression: How token vectors are stored.
        prompts: The encoder's prompts by name, to be shown.
    """

    tokens: Manifest | None
    dense: Manifest | None
    compression: Compression
    prompts: dict[str, str]

    def check_dense(self, encoder: DenseEncoder, *, location: Path | str) -> None:
        """Refuse a dense encoder whose vectors are not those of the index.

        Raises:
            IndexMismatchError: Another fingerprint, or no dense vectors at all.
        """
        if self.dense is None:
            raise IndexMismatchError(
                f"index {location} was made without dense vectors; leave dense_encoder out, or "
                f"index again with dense_manifest."
            )
        self.dense.check(encoder, index_path=location)

    def to_json(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> Self:
        """What :meth:`to_json` gave; KeyError, TypeError or ValueError if it is not that."""
        tokens, dense = found["tokens"], found["dense"]
        return cls(
            tokens=None if tokens is None else Manifest(**tokens),
            dense=None if dense is None else Manifest(**dense),
            compression=Compression(**found["compression"]),
            prompts=dict(found["prompts"]),
        )
