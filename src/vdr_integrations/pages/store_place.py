"""Where a page store is: a folder, or a URL that fsspec opens; and what of a URL may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote
from urllib.request import url2pathname

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["S3", "StorePlace", "StoreUrl", "store_place"]

_URL = re.compile(r"([a-z][a-z0-9+._-]+)://(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
_BEGINS_AS_URL = re.compile(r"\s*[a-z][a-z0-9+._-]+:(?=[:/\\]|$)", re.ASCII | re.IGNORECASE)
"""``s3:`` and a slash, a space before a URL, or chained URLs; a drive of Windows has one letter."""
_SLASHES = re.compile(r"(?<=[^/])/{2,}")
_FOLDERS = ("file", "local")
S3 = ("s3", "s3a")
_CONTAINERS = ("abfs", "abfss", "az", "adl")
"""Before their ``@`` stands a container, which is no secret."""
_HIDDEN = "***"


@dataclass(frozen=True, slots=True, repr=False)
class StoreUrl:
    """A URL of a page store, or of documents, without a slash at its end.

    Attributes:
        url: As the caller gave it; it may hold a password.
        what: What is there, in messages.
    """

    url: str
    what: str = "page store"

    @property
    def protocol(self) -> str:
        """What stands before ``://``, in lower case."""
        return self.url.partition("://")[0].lower()

    @property
    def opened(self) -> str:
        """The URL for fsspec. That of S3 has no keys: s3fs does not read them there."""
        if self.protocol not in S3:
            return self.url
        return f"{self.protocol}://{self._parts[1]}"

    @property
    def options(self) -> Mapping[str, str]:
        """Options for fsspec: the keys that stand in a URL of S3. Percent signs are decoded."""
        user = self._parts[0]
        if self.protocol not in S3 or not user:
            return {}
        key, _, secret = user.partition(":")
        return {"key": unquote(key), "secret": unquote(secret)}

    def __str__(self) -> str:
        """The URL without user, keys and password."""
        user, place = self._parts
        if not user:
            return self.url
        is_container = self.protocol in _CONTAINERS and ":" not in user
        return f"{self.protocol}://{user if is_container else _HIDDEN}@{place}"

    def __repr__(self) -> str:
        """The class and the URL that may be shown."""
        return f"StoreUrl({str(self)!r})"

    def with_single_slashes(self) -> StoreUrl:
        """The same place; s3fs writes below an empty name, as in ``b//pages``, but lists none."""
        place = self._parts[1]
        before = self.url.removesuffix(place)
        return replace(self, url=before + _SLASHES.sub("/", place))

    def hides(self, text: str) -> str:
        """A text of another library without what this URL keeps secret, and without queries."""
        if str(self) != self.url:
            user = self._parts[0]
            secrets = {user, *user.split(":"), *map(unquote, user.split(":"))} - {""}
            for secret in sorted(secrets, key=len, reverse=True):
                text = text.replace(secret, _HIDDEN)
        return re.sub(r"(\w+://[^\s\"'?]*)\?[^\s\"']*", r"\1", text)

    @property
    def _parts(self) -> tuple[str, str]:
        """User and password, or nothing, and what stands behind them."""
        rest = self.url.partition("://")[2]
        authority, slash, below = rest.partition("/")
        if self.protocol in S3 and ":" in authority and "@" in below and "@" not in authority:
            user, _, host = rest.partition("@")  # a secret key may have a slash
            return user, host
        user, _, host = authority.rpartition("@")
        return user, host + slash + below


StorePlace = Path | StoreUrl


def store_place(root: str | Path, *, what: str = "page store") -> StorePlace:
    """The folder, or the URL, that a text or path names; ``file://`` names a folder.

    Args:
        root: The text or path.
        what: What is there, in messages.

    Raises:
        OptionError: A URL that names no place, has a query or a space before it, or is a chain of
            URLs or a Path.
    """
    text = str(root)
    found = None if isinstance(root, Path) else _URL.fullmatch(text)
    if found is None:
        if _BEGINS_AS_URL.match(text):
            raise OptionError(
                f"{what} {_first(text)}... is neither a folder nor a URL: a URL is a text (no "
                f"Path, which joins its slashes) such as s3://bucket/pages, and one alone (no "
                f"chain with ::, no space before it). For a folder of that name, write ./ before "
                f"it."
            )
        return Path(root)
    protocol, rest = found.group(1).lower(), found.group(2).rstrip("/")
    shown = StoreUrl(f"{protocol}://{rest.partition('?')[0]}")
    if "?" in rest:
        raise OptionError(
            f"{what} {shown} has a query, which such a URL cannot have. Give "
            f"credentials and options in the environment or in the files of fsspec, as "
            f"docs/recipes.md says."
        )
    if protocol in _FOLDERS:
        return _folder(rest, shown, what)
    if not rest or rest.endswith("@"):
        raise OptionError(f"{what} {shown} names no place, such as {protocol}://bucket/pages.")
    return StoreUrl(f"{protocol}://{rest}", what).with_single_slashes()


def _folder(rest: str, shown: StoreUrl, what: str) -> Path:
    if not rest.startswith("/") or not rest.strip("/"):
        raise OptionError(
            f"{what} {shown} names no folder of this machine; a URL of a folder has three "
            f"slashes, such as file:///srv/pages."
        )
    return Path(url2pathname(rest))


def _first(text: str) -> str:
    return text.partition(":")[0] + ":"
