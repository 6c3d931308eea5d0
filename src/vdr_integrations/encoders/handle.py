"""The encoder behind a framework's object: loaded on first use, never copied or pickled."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoint import Checkpoint
    from vdr_integrations.encoders.dense import DenseEncoder

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
    batch_visual_tokens: int | None
    checkpoint: Checkpoint | None
    token: str | None
    cache_dir: str | None
    local_files_only: bool


class EncoderHandle:
    """Loads an encoder on first use and keeps it.

    Encoders are kept by their options, so a handle that is shared by a shallow copy
    (``model_copy(update={"dimension": 256})``) never answers with the other's vectors. Pickles
    and deep copies are empty handles: weights stay where they were loaded.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
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
    from vdr_integrations.encoders.load import load_encoder

    return load_encoder(**options._asdict())
