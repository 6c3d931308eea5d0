"""A collection of a Qdrant server, and how to reach it without revealing a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import unquote, urlsplit

from vdr_integrations.errors import OptionError
from vdr_integrations.types.loopback import is_loopback

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from qdrant_client import QdrantClient
else:
    QdrantClient = Any  # pydantic reads the fields, also where the client is not installed

__all__ = ["Agreement", "QdrantServer"]

Agreement = Literal["majority", "quorum", "all"]
"""How many copies of a shard must agree on what is read; the words are Qdrant's."""
_COUNTS = ("shard_number", "replication_factor", "write_consistency_factor")


@dataclass(frozen=True, slots=True, repr=False)
class QdrantServer:
    """A collection of a Qdrant server.

    ``shard_number``, ``replication_factor``, ``write_consistency_factor``, ``on_disk`` and
    ``quantization`` are used when the collection is made; then leave them out. If they are given
    for an existing collection that has others, this is an ``IndexMismatchError``. None leaves the
    choice to the server.

    Attributes:
        collection: Name of the collection; it holds one index.
        url: Address of the server, as "http://localhost:6333". A user and password in it are used
            (HTTP basic authentication) and never shown.
        api_key: API key of the server; it is never shown.
        client: Your own client, instead of ``url`` and ``api_key``. It stays open when the index is
            closed. A forked process needs a client of its own.
        allow_insecure: Allow a key or password to be sent over plain http to another machine.
            Everyone on the network path can read it.
        shard_number: Number of parts into which a cluster divides the collection.
        replication_factor: Number of nodes that hold a copy of each part.
        write_consistency_factor: Number of copies that must have a write before it counts.
        on_disk: True keeps all vectors and the index of the first stage on disk, False keeps all in
            memory. None keeps token vectors on disk and the others in memory.
        quantization: "int8" keeps a copy of the token vectors with one byte a number in memory. It
            ranks the candidates of the first stage, so that fewer pages are read from disk; scores
            are computed from the vectors themselves, as always.
        read_consistency: How many copies must agree on what is read. None reads one copy. It
            can differ from client to client.
    """

    collection: str
    url: str | None = None
    api_key: str | None = None
    client: QdrantClient | None = None
    allow_insecure: bool = False
    shard_number: int | None = None
    replication_factor: int | None = None
    write_consistency_factor: int | None = None
    on_disk: bool | None = None
    quantization: Literal["int8"] | None = None
    read_consistency: Agreement | None = None

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            OptionError: The options contradict each other, one has no such value, the url is not
                valid, or a key would be sent over plain http.
        """
        self._check_cluster_options()
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

    def _check_cluster_options(self) -> None:
        for name in _COUNTS:
            count = getattr(self, name)
            if count is not None and (type(count) is not int or count < 1):
                raise OptionError(f"{name} must be a whole number from 1, not {count!r}.")
        copies, needed = self.replication_factor, self.write_consistency_factor
        if copies is not None and needed is not None and needed > copies:
            raise OptionError(
                f"write_consistency_factor={needed} asks for more copies than "
                f"replication_factor={copies} makes; give {copies} or less."
            )
        if self.on_disk is not None and type(self.on_disk) is not bool:  # 0 is no False here
            raise OptionError(f"on_disk must be True, False or None, not {self.on_disk!r}.")
        if self.quantization not in (None, "int8"):
            raise OptionError(f'quantization must be "int8" or None, not {self.quantization!r}.')
        if self.read_consistency not in (None, *get_args(Agreement)):
            raise OptionError(
                f"read_consistency must be None or one of {', '.join(get_args(Agreement))}, not "
                f"{self.read_consistency!r}."
            )

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
