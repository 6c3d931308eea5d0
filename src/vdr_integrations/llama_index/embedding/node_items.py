"""What is embedded of an input: a page image, or a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.schema import BaseNode, ImageNode, MetadataMode, Node

from vdr_integrations.encoders.preprocessing.text_check import check_text
from vdr_integrations.errors import OptionError
from vdr_integrations.pages import open_base64, open_image
from vdr_integrations.retrieval.found_page import page_ref_among
from vdr_integrations.retrieval.mixed_inputs import MixedInput, page_or_text, shrunk_page
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from pathlib import Path

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
    image = PageRef.parse(content) or node_image(node)
    if image is not None:
        return image_item(image, embedder)
    check_text(content, subject=f"the text of node {node.node_id}")
    return text_item(content, embedder)


def text_item(text: str, embedder: BatchEmbedder) -> MixedInput:
    """The page, if ``text`` is exactly its reference; else the text itself.

    Raises:
        OptionError: Only white space, or the reference of a stored page followed by more text.
        PageReferenceError: A reference to a page that is not in the store.
    """
    if not text.strip():
        raise OptionError(
            "found an empty text to embed; all empty texts would share one vector. LlamaIndex "
            "sends one for image nodes without text: read PDFs with PDFPageReader and "
            "PDFPageNodeParser, or put the embedding into the transformations, where it gets "
            "the images of nodes."
        )
    first_line, separator, _ = text.partition("\n")
    if separator and (ref := PageRef.parse(first_line)) is not None and ref in embedder.store:
        raise OptionError(
            f"{ref} is followed by other text, found {len(text)} characters; the EMBED content of "
            f"a page node must be its reference alone. Add the metadata keys that were set after "
            f"parsing to the node's excluded_embed_metadata_keys."
        )
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
    data: str | None = None
    path: str | Path | None = None
    has_url = False
    if isinstance(node, ImageNode):
        data, path, has_url = node.image, node.image_path, node.image_url is not None
    elif isinstance(node, Node) and (resource := node.image_resource) is not None:
        data = resource.data.decode("ascii") if resource.data else None
        path, has_url = resource.path, resource.url is not None
    else:
        return None
    if data:
        return open_base64(data, name=f"image of node {node.node_id}")
    if path:
        return open_image(path)
    found = "only an image URL, which is never fetched" if has_url else "no image"
    raise OptionError(
        f"{type(node).__name__} {node.node_id} has {found}; give it image_path, or the bytes as "
        f"base64. LlamaIndex does not store the bytes in image_resource with a node: use a path."
    )
