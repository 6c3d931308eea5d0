"""Options of the retriever, for those who hand them on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.vector_stores import MetadataFilters

    from vdr_integrations.encoders import Checkpoint, DenseEncoder, MultiVectorEncoder
    from vdr_integrations.llama_index.embedding.vdr_embedding import VDREmbedding

__all__ = ["RetrieverOptions"]


class RetrieverOptions(TypedDict, total=False):
    """The options of :class:`ColQwen2Retriever`."""

    similarity_top_k: int
    filters: MetadataFilters | None
    exhaustive: bool
    candidates: int | None
    recall: VDREmbedding | DenseEncoder | None
    encoder: MultiVectorEncoder | None
    model_name: str | None
    revision: str | None
    device: str | None
    dtype: str
    attn_implementation: str | None
    max_visual_tokens: int | None
    batch_visual_tokens: int | None
    checkpoint: Checkpoint | None
    token: str | None
    cache_dir: str | None
    local_files_only: bool
    page_store_path: str | None
    callback_manager: CallbackManager | None
