"""Which collection of which Qdrant server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

__all__ = ["QdrantServer"]


@dataclass(frozen=True, slots=True)
class QdrantServer:
    """A collection of a Qdrant server.

    Attributes:
        collection: One index is one collection.
        url: Of the server, "http://localhost:6333".
        api_key: Never shown.
        client: A client of yours, in place of ``url`` and ``api_key``.
    """

    collection: str
    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    client: QdrantClient | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a server that is not named, or named twice."""
        if (self.url is None) == (self.client is None):
            raise OptionError("QdrantServer takes a url or a client, and not both.")

    def __str__(self) -> str:
        """Where the collection is, without the key."""
        return f"{self.url or 'qdrant'}/{self.collection}"
