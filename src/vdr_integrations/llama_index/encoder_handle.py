"""The encoder behind an embedding object: loaded on first use, never copied or pickled."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder

__all__ = ["EncoderHandle", "EncoderOptions"]


class EncoderOptions(NamedTuple):
    """What ``load_encoder`` is called with."""

    model: str
    revision: str | None
    device: str | None
    dtype: str
    attn_implementation: str | None
    dimension: int | None
    max_visual_tokens: int
    token: str | None
    cache_dir: str | None
    local_files_only: bool


class EncoderHandle:
    """Loads an encoder on first use and keeps it.

    Encoders are kept by their options, so that an option assigned later is honoured. Pickles and
    deep copies are empty handles: weights stay where they were loaded.
    """

    def __init__(self) -> None:
        self._encoders: dict[EncoderOptions, DenseEncoder] = {}
        self._loading = threading.Lock()

    def get(self, options: EncoderOptions) -> DenseEncoder:
        """The encoder of ``options``, loaded at most once however many threads ask."""
        with self._loading:
            encoder = self._encoders.get(options)
            if encoder is None:
                encoder = self._encoders[options] = _load(options)
            return encoder

    async def aget(self, options: EncoderOptions) -> DenseEncoder:
        """:meth:`get`, loading outside the event loop."""
        return self._encoders.get(options) or await asyncio.to_thread(self.get, options)

    def __reduce__(self) -> tuple[type[EncoderHandle], tuple[()]]:
        """An empty handle."""
        return (EncoderHandle, ())

    def __eq__(self, other: object) -> bool:
        """All handles are equal: what they give follows from the options alone."""
        return isinstance(other, EncoderHandle)

    def __hash__(self) -> int:
        """Equal for all handles."""
        return hash(EncoderHandle)


def _load(options: EncoderOptions) -> DenseEncoder:
    from vdr_integrations.encoders import load_encoder

    return load_encoder(
        options.model,
        revision=options.revision,
        device=options.device,
        dtype=options.dtype,
        attn_implementation=options.attn_implementation,
        dimension=options.dimension,
        max_visual_tokens=options.max_visual_tokens,
        token=options.token,
        cache_dir=options.cache_dir,
        local_files_only=options.local_files_only,
    )
