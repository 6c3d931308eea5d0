"""Found pages as content blocks of a chat message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.messages.content import create_image_block, create_text_block

from vdr_integrations.langchain.retrieval.hit_documents import checked_page
from vdr_integrations.pages import PageStore
from vdr_integrations.pages.images.png_base64 import png_base64

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_core.documents import Document
    from langchain_core.messages.content import ImageContentBlock, TextContentBlock

__all__ = ["page_blocks", "page_image_block"]


def page_image_block(
    document: Document, *, page_store_path: str | None = None
) -> ImageContentBlock:
    """The image of a page as a content block of a chat message: PNG, so small print stays legible.

    Args:
        document: A page that a vector store or retriever returned.
        page_store_path: Folder or URL of the page store; None uses ``$VDR_PAGE_STORE``, or the
            user's data folder.

    Raises:
        OptionError: The document is not a page.
        PageReferenceError: The page is not in the store, or was altered.
    """
    page = PageStore(page_store_path).get(checked_page(document).page_ref or "")
    return create_image_block(base64=png_base64(page.image), mime_type="image/png")


def page_blocks(
    documents: Iterable[Document], *, page_store_path: str | None = None
) -> list[TextContentBlock | ImageContentBlock]:
    """Two content blocks for each page: citation (``report.pdf, page 3 of 12:``) and image.

    See :func:`page_image_block` for arguments and errors.
    """
    blocks: list[TextContentBlock | ImageContentBlock] = []
    for document in documents:
        image = page_image_block(document, page_store_path=page_store_path)
        blocks += [create_text_block(f"{checked_page(document).citation}:"), image]
    return blocks
