"""Which collection of which Qdrant server, and how it is reached without giving a key away."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from qdrant_client import QdrantClient

__all__ = ["QdrantServer"]


@dataclass(frozen=True, slots=True, repr=False)
class QdrantServer:
    """A collection of a Qdrant server.

    Attributes:
        collection: One index is one collection.
        url: Of the server, "http://localhost:6333". A user and password in it are used (HTTP's
            basic authentication) and never shown.
        api_key: Never shown.
        client: A client of yours, in place of ``url`` and ``api_key``. It stays open when the index
            is closed. A forked process needs one of its own.
        allow_insecure: Send a key or password over plain http to a host that is not this machine.
            Whoever carries the packets can read it.
    """

    collection: str
    url: str | None = None
    api_key: str | None = None
    client: QdrantClient | None = None
    allow_insecure: bool = False

    def __post_init__(self) -> None:
        """Refuse a server that is not named, or named twice, and a key that all could read.

        Raises:
            OptionError: It is.
        """
        if (self.url is None) == (self.client is None):
            raise OptionError("QdrantServer takes a url or a client, and not both.")
        if self.url is None:
            if self.api_key is not None:
                raise OptionError("QdrantServer takes an api_key with a url; a client has its own.")
            return
        parts = _split(self.url)
        is_secret = self.api_key is not None or self.login is not None
        if (
            is_secret
            and not self.allow_insecure
            and parts.scheme == "http"
            and not _is_loopback(parts.hostname or "")
        ):
            raise OptionError(
                f"a key or password would go to {self.shown_url} over plain http, where all on the "
                f"way can read it; use https, or give allow_insecure=True if the way is safe."
            )

    @property
    def shown_url(self) -> str:
        """The url without user, password and query; "qdrant" for a client."""
        if self.url is None:
            return "qdrant"
        parts = _split(self.url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        port = "" if parts.port is None else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password of the url, None for none."""
        parts = _split(self.url or "http://none")
        if parts.username is None:
            return None
        return unquote(parts.username), unquote(parts.password or "")

    def __str__(self) -> str:
        """Where the collection is, without what is secret."""
        return f"{self.shown_url}/{self.collection}"

    def __repr__(self) -> str:
        """The same, as Python."""
        where = "client=..." if self.url is None else f"url={self.shown_url!r}"
        return f"QdrantServer({self.collection!r}, {where})"


def _split(url: str) -> SplitResult:
    """The parts of a url.

    Raises:
        OptionError: It is none of http or https. The message does not hold it: it may hold a key.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        parts, is_usable = urlsplit(""), False
    if not is_usable:
        raise OptionError('the url of a QdrantServer looks like "http://localhost:6333".')
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
