"""What observers of LlamaIndex see of an embedding call: labels and vectors, never images."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from llama_index.core import instrumentation
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from llama_index.core.base.embeddings.base import BaseEmbedding

__all__ = ["embedding_event"]

# LlamaIndex's documentation takes it from here, where it is imported without being re-exported.
_dispatcher = instrumentation.get_dispatcher(__name__)  # pyright: ignore[reportPrivateImportUsage]


@contextmanager
def embedding_event(model: BaseEmbedding, labels: Sequence[str]) -> Generator[list[list[float]]]:
    """Report one batch to the callback manager and to the instrumentation.

    Args:
        model: Whose payload and callback manager are used.
        labels: What the items of the batch are called, in order.

    Yields:
        A list for the vectors of the batch, in order.
    """
    payload = model.to_payload()
    vectors: list[list[float]] = []
    _dispatcher.event(EmbeddingStartEvent(model_dict=payload))
    with model.callback_manager.event(
        CBEventType.EMBEDDING, payload={EventPayload.SERIALIZED: payload}
    ) as event:
        yield vectors
        event.on_end(payload={EventPayload.CHUNKS: list(labels), EventPayload.EMBEDDINGS: vectors})
    _dispatcher.event(EmbeddingEndEvent(chunks=list(labels), embeddings=vectors))
