"""What other parts of LlamaIndex need of found pages: their pictures on this machine, or texts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, ImageNode, NodeWithScore, TextNode
from pydantic import ConfigDict, Field

from vdr_integrations.defaults import DEFAULT_VISUAL_TOKENS
from vdr_integrations.errors import MissingExtraError, PageError
from vdr_integrations.llama_index.reading.page_nodes import readable_node
from vdr_integrations.llama_index.retrieval.page_of_node import found_page
from vdr_integrations.pages import PageStore
from vdr_integrations.pages.images.png_base64 import png_base64
from vdr_integrations.pages.on_error import OnError, error_handler
from vdr_integrations.retrieval import PagePictures
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llama_index.core.schema import QueryBundle

__all__ = ["PagePicturePostprocessor", "PageTextPostprocessor", "page_texts"]


class PagePicturePostprocessor(BaseNodePostprocessor):
    """Gives each page node its picture on this machine, so that a language model can see it.

    Nodes hold the path that the picture had on the machine that read the document. On another one,
    in a container, or after the page store was moved, LlamaIndex cannot open it, and a multimodal
    query ends with a ValidationError of ``ImageBlock``. This postprocessor finds the picture by its
    reference in the page store. If it is not there, the page is drawn again and stored, provided
    that ``source`` is the path of a file that still shows exactly what was indexed.

        RetrieverQueryEngine.from_args(
            retriever, llm=llm, multimodal=True, node_postprocessors=[PagePicturePostprocessor()]
        )

    ``LateInteractionRetriever`` does this itself, but not if the store is at a URL: then this puts
    the pictures themselves into nodes. Nodes are copied; those of no page stay the same.

    Attributes:
        page_store_path: Folder or URL of the page store; None uses ``$VDR_PAGE_STORE``, or the
            user's data folder.
        max_visual_tokens: That of the reader, to draw pages again.
        token_side_px: That of the reader.
        on_error: What to do with a page whose picture is not available. ``"warn"`` (the default)
            logs it, and its node becomes a ``TextNode``; ``"raise"`` raises the error; a function
            is called with each ``PageError``.
    """

    model_config = ConfigDict(extra="forbid")

    page_store_path: str | None = None
    max_visual_tokens: int = Field(default=DEFAULT_VISUAL_TOKENS, ge=1)
    token_side_px: int = Field(default=28, ge=1)
    on_error: OnError = Field(default="warn", exclude=True)

    @classmethod
    def class_name(cls) -> str:
        """``"PagePicturePostprocessor"``."""
        return "PagePicturePostprocessor"

    def _postprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,  # noqa: ARG002  # LlamaIndex's signature
    ) -> list[NodeWithScore]:
        budget = PixelBudget(self.max_visual_tokens, factor=self.token_side_px)
        pictures = PagePictures(PageStore(self.page_store_path), budget)
        return [
            NodeWithScore(node=self._with_picture(hit.node, pictures), score=hit.score)
            for hit in nodes
        ]

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._postprocess_nodes, nodes, query_bundle)

    def _with_picture(self, node: BaseNode, pictures: PagePictures) -> BaseNode:
        page, store = found_page(node), PageStore(self.page_store_path)
        if page.page_ref is None:
            return node
        try:
            picture = pictures.restored(page)
        except (PageError, MissingExtraError) as error:
            is_of_page = isinstance(error, PageError)
            found = error if is_of_page else PageError(str(error), source=page.source)
            error_handler(self.on_error)(found)
            return TextNode(**_shared_fields(node))
        place, fields = store.place(page.page_ref), _shared_fields(node)
        if isinstance(place, str):  # LlamaIndex cannot open it
            return ImageNode(**fields, image=png_base64(picture.image), image_mimetype="image/png")
        return ImageNode(**fields, image_path=str(place), image_mimetype="image/png")


class PageTextPostprocessor(BaseNodePostprocessor):
    """Lets text rerankers read pages: see :func:`page_texts`.

    node_postprocessors=[PageTextPostprocessor(), SentenceTransformerRerank(top_n=3)]
    """

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def class_name(cls) -> str:
        """``"PageTextPostprocessor"``."""
        return "PageTextPostprocessor"

    def _postprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,  # noqa: ARG002
    ) -> list[NodeWithScore]:
        texts = page_texts(hit.node for hit in nodes)
        return [
            NodeWithScore(node=text, score=hit.score)
            for text, hit in zip(texts, nodes, strict=True)
        ]


def page_texts(nodes: Iterable[BaseNode]) -> list[BaseNode]:
    """Copies of page nodes whose EMBED content is their citation and text layer.

    ``BM25Retriever``, ``SentenceTransformerRerank`` and other parts that read text use the EMBED
    content, which is the page reference for :class:`VDREmbedding`. Ids, hashes, pictures and what a
    language model reads stay as they are, so that ``QueryFusionRetriever`` joins both kinds of
    hits. Nodes that are no pages are returned unchanged.

    Example:
        >>> BM25Retriever.from_defaults(nodes=page_texts(nodes))  # doctest: +SKIP
    """
    return [readable_node(node) for node in nodes]


_SHARED = (
    "id_",
    "embedding",
    "metadata",
    "excluded_embed_metadata_keys",
    "excluded_llm_metadata_keys",
    "relationships",
    "metadata_template",
    "metadata_separator",
    "text_template",
)


def _shared_fields(node: BaseNode) -> dict[str, object]:
    return {
        **{name: getattr(node, name) for name in _SHARED if hasattr(node, name)},
        "text": node.get_content(),
    }
