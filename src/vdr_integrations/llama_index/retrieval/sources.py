"""The index and the encoder behind an object: opened and loaded on first use, shared by copies."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vdr_integrations.encoders import EncoderOptions, MultiVectorHandle
from vdr_integrations.errors import IndexNotFoundError, OptionError
from vdr_integrations.index import LateInteractionIndex, QdrantServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdr_integrations.encoders import Checkpoint, MultiVectorEncoder
    from vdr_integrations.index import Manifest

__all__ = ["DEFAULT_MODEL", "EncoderChoice", "IndexLocation", "IndexSource"]

DEFAULT_MODEL = "vidore/colqwen2-v1.0"
_MAX_VISUAL_TOKENS = 768

IndexLocation = str | Path | QdrantServer
"""A folder, a collection of a server, or the latter as ``"http://host:6333/collection"``."""


class IndexSource:
    """An open index, or one that is opened when it is needed first.

    Copies share it. A pickle holds where it is, and never a key or a client.

    Args:
        index: Open, or where it is.

    Raises:
        OptionError: Neither.
    """

    def __init__(self, index: LateInteractionIndex | IndexLocation) -> None:
        """Open nothing yet."""
        self._opening = threading.Lock()
        self._location: IndexLocation | None = None
        self._opened: LateInteractionIndex | None = None
        self._is_ours = False
        if isinstance(index, LateInteractionIndex):
            self._opened = index
        else:
            self._location = _location(index)

    def get(
        self, *, create: Callable[[], LateInteractionIndex] | None = None
    ) -> LateInteractionIndex:
        """The index, opened at most once however many threads ask.

        Args:
            create: Makes the index in its place, if there is none yet.

        Raises:
            IndexStoreError: It cannot be opened.
        """
        with self._opening:
            if self._opened is None:
                try:
                    self._opened = LateInteractionIndex.open(self.location)
                except IndexNotFoundError:
                    if create is None:
                        raise
                    self._opened = create()
                self._is_ours = True
            return self._opened

    async def aget(self) -> LateInteractionIndex:
        """:meth:`get`, opening outside the event loop."""
        return self._opened or await asyncio.to_thread(self.get)

    @property
    def location(self) -> IndexLocation:
        """Where the index is.

        Raises:
            TypeError: It was given open, and is not in a folder.
        """
        if self._location is not None:
            return self._location
        if self._opened is not None and isinstance(self._opened.path, Path):
            return self._opened.path
        raise TypeError(
            "an open index of a server cannot be pickled; give QdrantServer(url=..., "
            "collection=...) in its place."
        )

    def close(self) -> None:
        """Close the index if it was opened here; the next use opens it again."""
        with self._opening:
            if self._is_ours and self._opened is not None:
                self._opened.close()
                self._opened, self._is_ours = None, False

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: a folder can be open only once."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Where the index is."""
        location = self.location
        if isinstance(location, QdrantServer) and (location.api_key or location.client):
            raise TypeError(
                "a server's key or client is never pickled; make the object where it is used."
            )
        return type(self), (location,)

    def __repr__(self) -> str:
        """Where the index is."""
        return f"IndexSource({self._location or (self._opened and self._opened.path)})"


@dataclass(frozen=True, kw_only=True)
class EncoderChoice:
    """An encoder, or the options to load one with.

    Attributes:
        encoder: Loaded already; then there are no options.
        model_name: None: the model that made the index, or :data:`DEFAULT_MODEL` for a new one.
        max_visual_tokens: None: as the index was made, or 768.
        revision: And the others: see ``load_encoder``.
    """

    encoder: MultiVectorEncoder | None = None
    model_name: str | None = None
    revision: str | None = None
    device: str | None = None
    dtype: str = "auto"
    attn_implementation: str | None = None
    max_visual_tokens: int | None = None
    batch_visual_tokens: int | None = None
    checkpoint: Checkpoint | None = None
    token: str | None = None
    cache_dir: str | None = None
    local_files_only: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no late-interaction encoder, and one that is chosen twice."""
        if self.encoder is None:
            return
        from vdr_integrations.encoders import MultiVectorEncoder

        if not isinstance(self.encoder, MultiVectorEncoder):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise OptionError(
                f"encoder must give one vector a token (a MultiVectorEncoder), found "
                f"{type(self.encoder).__name__}; load one with load_encoder({DEFAULT_MODEL!r})."
            )
        if replace(self, encoder=None) != EncoderChoice():
            raise OptionError(
                "found an encoder and options to load one with; give one or the other."
            )

    def load(
        self, handle: MultiVectorHandle, index: LateInteractionIndex | None
    ) -> MultiVectorEncoder:
        """The encoder.

        Raises:
            IndexMismatchError: Its vectors do not compare with those of the index.
            CheckpointError: It cannot be loaded.
            OptionError: The model gives one vector a page.
        """
        encoder = self.encoder or handle.get(self.options(index and index.manifest))
        return _checked(encoder, index)

    async def aload(
        self, handle: MultiVectorHandle, index: LateInteractionIndex | None
    ) -> MultiVectorEncoder:
        """:meth:`load`, loading outside the event loop."""
        encoder = self.encoder or await handle.aget(self.options(index and index.manifest))
        return _checked(encoder, index)

    def options(self, manifest: Manifest | None) -> EncoderOptions:
        """What ``load_encoder`` is called with, for an index of these settings."""
        model, revision = self.model_name or DEFAULT_MODEL, self.revision
        if manifest is not None and self.model_name is None:
            model, revision = manifest.model, revision or manifest.revision
        budget = _MAX_VISUAL_TOKENS if manifest is None else manifest.max_visual_tokens
        return EncoderOptions(
            model=model,
            revision=revision,
            device=self.device,
            dtype=self.dtype,
            attn_implementation=self.attn_implementation,
            dimension=None,
            max_visual_tokens=self.max_visual_tokens or budget,
            batch_visual_tokens=self.batch_visual_tokens,
            checkpoint=self.checkpoint,
            token=self.token,
            cache_dir=self.cache_dir,
            local_files_only=self.local_files_only,
        )

    def __getstate__(self) -> dict[str, Any]:
        """All but the hub token: the other side finds its own."""
        return {**self.__dict__, "token": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself, token included; nothing in it changes."""
        return self


def _checked(encoder: MultiVectorEncoder, index: LateInteractionIndex | None) -> MultiVectorEncoder:
    if index is not None:
        index.manifest.check(encoder, index_path=index.path)
    return encoder


def _location(given: IndexLocation) -> IndexLocation:
    if isinstance(given, QdrantServer | Path):
        return given
    if not isinstance(given, str) or not given:  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        raise OptionError(
            f"index must be a LateInteractionIndex, its folder, or a QdrantServer, found "
            f"{type(given).__name__}."
        )
    if not given.startswith(("http://", "https://")):
        return Path(given)
    url, _, collection = given.rstrip("/").rpartition("/")
    if not collection or url in {"http:", "https:", "http:/", "https:/"}:
        raise OptionError(
            "an index on a server is http://host:6333/collection, found a URL without "
            "collection; or give QdrantServer(url=..., collection=..., api_key=...)."
        )
    return QdrantServer(collection=collection, url=url)
