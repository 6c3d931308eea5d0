"""What is embedded of an input: a page image, or a text."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from llama_index.core.schema import BaseNode, Document, ImageNode, MetadataMode, Node

from vdr_integrations.encoders.preprocessing.text_check import check_text
from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index.reading.node_content import picture_of
from vdr_integrations.pages import open_image
from vdr_integrations.pages.document_kind import named_kind
from vdr_integrations.retrieval.mixed_inputs import MixedInput, page_or_text, shrunk_page
from vdr_integrations.retrieval.page_metadata import page_ref_among
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from vdr_integrations.llama_index.embedding.batch_embedder import BatchEmbedder
    from vdr_integrations.pages.page_inputs import ImageInput
    from vdr_integrations.types import PageImage

__all__ = ["has_image", "image_item", "node_image", "node_item", "query_item", "text_item"]


def node_item(node: BaseNode, embedder: BatchEmbedder) -> MixedInput:
    """The page of a page node, the image of any other node that has one, else its EMBED text.

    Raises:
        OptionError: See :func:`node_image` and :func:`text_item`; half a surrogate pair in a text.
        PageError: The image cannot be opened.
    """
    content = node.get_content(metadata_mode=MetadataMode.EMBED)
    # The path in a page node may be that of another machine.
    own = page_ref_among(node.metadata) if isinstance(node, ImageNode | Document) else None
    image = PageRef.parse(content) or own or node_image(node)
    if image is not None:
        return image_item(image, embedder)
    check_text(content, subject=f"the text of node {node.node_id}")
    return text_item(content, embedder)


def text_item(text: str, embedder: BatchEmbedder) -> MixedInput:
    """The page, if ``text`` is exactly its reference; else the text itself.

    Raises:
        OptionError: Only white space; or the name of a picture or PDF in place of what it shows; or
            a piece of a reference, see ``page_or_text``.
        PageReferenceError: A reference to a page that is not in the store.
    """
    if not text.strip():
        raise OptionError(
            "found an empty text to embed; all empty texts would share one vector. LlamaIndex "
            "sends one for image nodes without text: make PDFPageNodeParser the first "
            "transformation, or put the embedding into the transformations, where it gets the "
            "images of nodes."
        )
    _refuse_name_of_file(text)
    return page_or_text(text, store=embedder.store)


def query_item(text: str, _embedder: BatchEmbedder) -> MixedInput:
    """A question. It is text, even if it looks like a page reference."""
    return text


def image_item(image: ImageInput, embedder: BatchEmbedder) -> MixedInput:
    """An image in any form, opened and shrunk; or a stored page by its reference.

    Raises:
        PageError: The image cannot be opened, or is a URL.
    """
    return shrunk_page(image, store=embedder.store, budget=embedder.encoder.pixel_budget)


def has_image(node: BaseNode) -> bool:
    """Whether a node is a page, or of a kind that has an image."""
    return (
        page_ref_among(node.metadata) is not None
        or isinstance(node, ImageNode)
        or (isinstance(node, Node) and node.image_resource is not None)
    )


def node_image(node: BaseNode) -> PageImage | None:
    """The image of a node, opened; None if the node is not an image node.

    Raises:
        OptionError: An image node without an image, or with only a URL.
        PageError: The image cannot be opened.
    """
    found = picture_of(node)
    name = f"image of node {node.node_id}" if isinstance(found, bytes) else None
    return None if found is None else open_image(found, name=name)


_FIRST_LINE = re.compile(r"[^:\n]{1,100}: .*")
_FILE_LINE = re.compile(r"^(?:file_path|file_name|filename|image_path): (.+)$", re.MULTILINE)


def _refuse_name_of_file(text: str) -> None:
    """Refuse what LlamaIndex sends for a picture: the metadata of its file, and no content."""
    metadata, _, content = text.partition("\n\n")
    if _FIRST_LINE.match(metadata) is None:
        return
    names = [found.partition("?")[0] for found in _FILE_LINE.findall(metadata)]
    named = next((name for name in names if named_kind(PurePath(name))), None)
    if named is None or (content.strip() and "\0" not in content and "%PDF-" not in content[:9]):
        return
    raise OptionError(
        f"{named}: found only its name or bytes to embed as text, and not what it shows. Read it "
        f"with SimpleDirectoryReader(..., file_extractor=PDFPageReader().by_suffix()), or make "
        f"PDFPageNodeParser the first transformation, which takes pictures too."
    )
