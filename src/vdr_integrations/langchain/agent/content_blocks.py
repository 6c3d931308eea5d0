"""Found pages as content blocks of a chat message."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

from langchain_core.messages.content import create_image_block, create_text_block

from vdr_integrations.langchain.retrieval.hit_documents import page_of_document
from vdr_integrations.pages import PageStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_core.documents import Document
    from langchain_core.messages.content import ImageContentBlock, TextContentBlock

__all__ = ["page_blocks", "page_image_block"]


def page_image_block(
    document: Document, *, page_store_path: str | None = None
) -> ImageContentBlock:
    """The image of a page, for the content of a chat message: PNG, so small print stays legible.

    Args:
        document: A page, as a vector store or retriever gave it back.
        page_store_path: Folder of the page store; None uses ``$VDR_PAGE_STORE``, or the user's
            cache folder.

    Raises:
        OptionError: The document is not a page.
        PageReferenceError: The page is not in the store, or was altered.
    """
    png = BytesIO()
    PageStore(page_store_path).get(page_of_document(document).page_ref or "").image.save(
        png, format="PNG"
    )
    return create_image_block(
        base64=base64.b64encode(png.getvalue()).decode("ascii"), mime_type="image/png"
    )


def page_blocks(
    documents: Iterable[Document], *, page_store_path: str | None = None
) -> list[TextContentBlock | ImageContentBlock]:
    """Pages as pairs of content blocks: the citation (``report.pdf, page 3 of 12:``), the image.

    Arguments and errors are those of :func:`page_image_block`.
    """
    blocks: list[TextContentBlock | ImageContentBlock] = []
    for document in documents:
        image = page_image_block(document, page_store_path=page_store_path)
        blocks += [create_text_block(f"{page_of_document(document).citation}:"), image]
    return blocks
