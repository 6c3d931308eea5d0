"""The hooks of LlamaIndex's embedding classes, answered by the public methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.embeddings import MultiModalEmbedding

if TYPE_CHECKING:
    from llama_index.core.schema import ImageType

__all__ = ["EmbeddingHooks"]

Vector = list[float]


class EmbeddingHooks(MultiModalEmbedding):
    """Turns LlamaIndex's template round.

    There, public methods look up caches and send events, and call these hooks; but they do so
    differently for texts and images, and cache a query's vector under a document's key. Here the
    public methods are complete in themselves, and the hooks call them.
    """

    def _get_query_embedding(self, query: str) -> Vector:
        return self.get_query_embedding(query)

    async def _aget_query_embedding(self, query: str) -> Vector:
        return await self.aget_query_embedding(query)

    def _get_text_embedding(self, text: str) -> Vector:
        return self.get_text_embedding(text)

    async def _aget_text_embedding(self, text: str) -> Vector:
        return await self.aget_text_embedding(text)

    def _get_text_embeddings(self, texts: list[str]) -> list[Vector]:
        return self.get_text_embedding_batch(texts)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Vector]:
        return await self.aget_text_embedding_batch(texts)

    def _get_image_embedding(self, img_file_path: ImageType) -> Vector:
        return self.get_image_embedding(img_file_path)

    async def _aget_image_embedding(self, img_file_path: ImageType) -> Vector:
        return await self.aget_image_embedding(img_file_path)

    def _get_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Vector]:
        return self.get_image_embedding_batch(img_file_paths)

    async def _aget_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Vector]:
        return await self.aget_image_embedding_batch(img_file_paths)
