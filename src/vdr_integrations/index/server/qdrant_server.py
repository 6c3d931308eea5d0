"""A collection of a Qdrant server, and how to reach it without revealing a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from vdr_integrations.errors import OptionError
from vdr_integrations.types.loopback import is_loopback

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from qdrant_client import QdrantClient

__all__ = ["QdrantServer"]


@dataclass(frozen=True, slots=True, repr=False)
class QdrantServer:
    """A collection of a Qdrant server.

    Attributes:
        collection: Name of the collection; it holds one index.
        url: Address of the server, as "http://localhost:6333". A user and password in it are used
            (HTTP basic authentication) and never shown.
        api_key: API key of the server; it is never shown.
        client: Your own client, instead of ``url`` and ``api_key``. It stays open when the index is
            closed. A forked process needs a client of its own.
        allow_insecure: Allow a key or password to be sent over plain http to another machine.
            Everyone on the network path can read it.
    """

    collection: str
    url: str | None = None
    api_key: str | None = None
    client: QdrantClient | None = None
    allow_insecure: bool = False

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            OptionError: The options contradict each other, the url is not valid, or a key would be
                sent over plain http.
        """
        if (self.url is None) == (self.client is None):
            raise OptionError("QdrantServer needs either a url or a client, not both.")
        if self.url is None:
            if self.api_key is not None:
                raise OptionError(
                    "QdrantServer accepts an api_key only with a url; a client has its own."
                )
            return
        parts = _split(self.url)
        is_secret = self.api_key is not None or self.login is not None
        if (
            is_secret
            and not self.allow_insecure
            and parts.scheme == "http"
            and not is_loopback(parts.hostname or "")
        ):
            raise OptionError(
                f"a key or password would be sent to {self.shown_url} over plain http, where "
                f"everyone on the network path can read it; use https, or give "
                f"allow_insecure=True if the path is safe."
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
        """User and password of the url; None if it has no user."""
        parts = _split(self.url or "http://none")
        if parts.username is None:
            return None
        return unquote(parts.username), unquote(parts.password or "")

    def __str__(self) -> str:
        """The address of the collection, without secrets."""
        return f"{self.shown_url}/{self.collection}"

    def __repr__(self) -> str:
        """The same, as a Python expression."""
        where = "client=..." if self.url is None else f"url={self.shown_url!r}"
        return f"QdrantServer({self.collection!r}, {where})"


def _split(url: str) -> SplitResult:
    """The parts of a url.

    Raises:
        OptionError: The url is not valid. The message does not show it, because it may hold a key.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        parts, is_usable = urlsplit(""), False
    if not is_usable:
        raise OptionError('the url of a QdrantServer must look like "http://localhost:6333".')
    return parts
