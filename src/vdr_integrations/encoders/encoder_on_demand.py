"""The encoder behind a framework's object: loaded on first use, never copied or pickled."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from vdr_integrations.encoders.runtime.forks import PerProcess

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.dense_encoder import DenseEncoder
    from vdr_integrations.encoders.multi_vector_encoder import MultiVectorEncoder

__all__ = ["EncoderHandle", "EncoderOptions", "MultiVectorHandle"]

Encoder = TypeVar("Encoder")


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


class _Handle(ABC, Generic[Encoder]):
    """Loads an encoder on first use and keeps it.

    Encoders are kept by their options, so a handle that is shared by a shallow copy
    (``model_copy(update={"dimension": 256})``) never answers with the other's vectors. Pickles
    and deep copies are empty handles: weights stay where they were loaded.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._encoders: dict[EncoderOptions, Encoder] = {}
        self._loading = PerProcess(threading.Lock)

    def get(self, options: EncoderOptions) -> Encoder:
        """The encoder of ``options``, loaded at most once however many threads ask."""
        with self._loading.value:
            encoder = self._encoders.get(options)
            if encoder is None:
                encoder = self._encoders[options] = self._load(options)
            return encoder

    async def aget(self, options: EncoderOptions) -> Encoder:
        """:meth:`get`, loading outside the event loop."""
        return self._encoders.get(options) or await asyncio.to_thread(self.get, options)

    @abstractmethod
    def _load(self, options: EncoderOptions) -> Encoder: ...

    def __reduce__(self) -> tuple[Any, ...]:
        """An empty handle."""
        return (type(self), ())

    def __eq__(self, other: object) -> bool:
        """All handles are equal: what they give follows from the options alone."""
        return type(other) is type(self)

    def __hash__(self) -> int:
        """Equal for all handles."""
        return hash(type(self))


class EncoderHandle(_Handle["DenseEncoder"]):
    """A handle on dense encoders."""

    def _load(self, options: EncoderOptions) -> DenseEncoder:
        from vdr_integrations.encoders.dense_encoder import DenseEncoder

        return DenseEncoder.load(**options._asdict())


class MultiVectorHandle(_Handle["MultiVectorEncoder"]):
    """A handle on late-interaction encoders."""

    def _load(self, options: EncoderOptions) -> MultiVectorEncoder:
        from vdr_integrations.encoders.multi_vector_encoder import MultiVectorEncoder

        return MultiVectorEncoder.load(**options._asdict())
