"""The address of a server that runs a model, and its key."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import SplitResult, urlsplit

from vdr_integrations.encoders.elsewhere.server_variables import (
    ALLOW_INSECURE_VARIABLE,
    KEY_VARIABLE,
)
from vdr_integrations.errors import OptionError
from vdr_integrations.types.loopback import is_loopback

__all__ = ["ServerAddress", "checked_key", "is_server_address"]


def is_server_address(model: str) -> bool:
    """Whether a model is named by the address of a server."""
    return model.lower().startswith(("http://", "https://"))


def checked_key(key: str | None) -> str | None:
    """A key as it is sent and compared; None if there is none.

    Space and line ends around it do not count: files of secrets often end with a line end.

    Raises:
        OptionError: It has characters that no HTTP header has. The message does not show it.
    """
    found = (key or "").strip()
    if not all("!" <= character <= "~" for character in found):
        raise OptionError(
            f"the key of the server ({KEY_VARIABLE}, or token) has a space or a character that is "
            f"not ASCII, which cannot be sent; choose a key of letters, digits and signs."
        )
    return found or None


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server is, and the key for it.

    Attributes:
        url: ``"http://host:8080"``, without a slash at its end.
        key: Never shown, and never pickled.
    """

    url: str
    key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, *, key: str | None) -> Self:
        """Check an address.

        Args:
            url: As the caller wrote it.
            key: Key of the server; None uses ``$VDR_SERVER_KEY``, if it is set.

        Raises:
            OptionError: Not an address; or the key cannot be sent, or would be sent in plain text
                to another machine.
        """
        parts = _split(url)
        key = checked_key(key) or checked_key(os.environ.get(KEY_VARIABLE))
        found = cls(url=f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", key=key)
        is_safe = parts.scheme == "https" or is_loopback(parts.hostname or "")
        if key is not None and not is_safe and os.environ.get(ALLOW_INSECURE_VARIABLE) != "1":
            raise OptionError(
                f"the key of {found.url} would be sent over plain http, where everyone on the "
                f"network path can read it; use https, or set {ALLOW_INSECURE_VARIABLE}=1 if the "
                f"path is safe."
            )
        return found

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")

    @property
    def port(self) -> int:
        """The port that is called."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    def without_key(self) -> Self:
        """The same address; the process that gets it finds its own key."""
        return replace(self, key=None)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        has_host, _ = bool(parts.hostname), parts.port
    except ValueError:
        parts, has_host = urlsplit(""), False
    if not has_host or parts.scheme not in {"http", "https"}:
        raise OptionError(
            'the address of a server of a model must look like "http://localhost:8080".'
        )
    if parts.username is not None:  # the message does not show it
        raise OptionError(
            f"the address of {parts.hostname} has a user or password in it; give the key as token, "
            f"or in {KEY_VARIABLE}."
        )
    if parts.query or parts.fragment:
        raise OptionError(
            f"the address of {parts.hostname} has something behind its path; leave it out."
        )
    return parts
