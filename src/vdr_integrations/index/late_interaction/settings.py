"""What a late-interaction index was made with, as the point that holds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from vdr_integrations.errors import IndexFormatError, IndexMismatchError
from vdr_integrations.index.late_interaction.compression import Compression
from vdr_integrations.index.late_interaction.engine import Point, Schema
from vdr_integrations.index.late_interaction.points import MANIFEST_ID
from vdr_integrations.index.manifest import Manifest

if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder
    from vdr_integrations.index.late_interaction.engine import Engine

__all__ = ["FORMAT_VERSION", "Settings", "read_settings"]

FORMAT_VERSION = 1
_APPLICATION = "vdr-integrations late interaction"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that every page of an index shares.

    Attributes:
        manifest: Of the multi-vector encoder.
        dense: Of the dense encoder whose vectors lie beside, None for none.
        compression: How token vectors are stored.
        prompts: The encoder's prompts by name, to be shown.
    """

    manifest: Manifest
    dense: Manifest | None
    compression: Compression
    prompts: dict[str, str]

    @property
    def schema(self) -> Schema:
        """What an engine must know of this."""
        dense = None if self.dense is None else self.dense.dimension
        return Schema(self.manifest.dimension, dense, self.compression)

    def point(self) -> Point:
        """The point that keeps the settings."""
        payload = {
            "kind": "manifest",
            "application": _APPLICATION,
            "format_version": FORMAT_VERSION,
            **asdict(self),
        }
        return Point(MANIFEST_ID, payload)

    def check_dense(self, encoder: DenseEncoder, *, location: str) -> None:
        """Refuse a dense encoder whose vectors are not those beside the token vectors.

        Raises:
            IndexMismatchError: Another fingerprint, or no dense vectors at all.
        """
        if self.dense is None:
            raise IndexMismatchError(
                f"index {location} was made without dense vectors; leave dense_encoder out, or "
                f"index again with dense_manifest."
            )
        self.dense.check(encoder, index_path=location)

    @classmethod
    def of_payload(cls, payload: dict[str, Any]) -> Self:
        """What :meth:`point` kept; KeyError, TypeError or ValueError if it is not that."""
        dense = payload["dense"]
        return cls(
            manifest=Manifest(**payload["manifest"]),
            dense=None if dense is None else Manifest(**dense),
            compression=Compression(**payload["compression"]),
            prompts=dict(payload["prompts"]),
        )


def read_settings(engine: Engine) -> Settings:
    """The settings that a store holds.

    Raises:
        IndexFormatError: The store is another program's, damaged, or of a newer format.
    """
    found = engine.retrieve([MANIFEST_ID])
    payload = found[0].payload if found else {}
    if payload.get("application") != _APPLICATION:
        raise IndexFormatError(
            f"{engine.location} holds no late-interaction index; give another folder or collection."
        )
    version = payload.get("format_version")
    if version != FORMAT_VERSION:
        raise IndexFormatError(
            f"index {engine.location} has format version {version}; this release of "
            f"vdr-integrations reads version {FORMAT_VERSION}. Upgrade vdr-integrations, or index "
            f"the documents again into a new place."
        )
    try:
        return Settings.of_payload(payload)
    except (KeyError, TypeError, ValueError) as error:
        raise IndexFormatError(
            f"index {engine.location} is damaged (unreadable manifest: {error}); delete it and "
            f"index the documents again."
        ) from error
