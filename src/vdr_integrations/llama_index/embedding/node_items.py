"""What of a node is embedded: its page image where it has one, else its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.schema import BaseNode, ImageNode, MetadataMode, Node

from vdr_integrations.encoders.preprocessing.text_check import check_text
from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index.embedding.items import (
    EmbeddingItem,
    ItemContext,
    image_item,
    opened_page,
    stored_page,
    text_item,
)
from vdr_integrations.pages import open_base64, open_image
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from vdr_integrations.types import PageImage

__all__ = ["node_item"]


def node_item(node: BaseNode, context: ItemContext) -> EmbeddingItem:
    """The page of a page node, the image of any other node that has one, else its EMBED text.

    Raises:
        OptionError: An image node without image, or with nothing but a URL; a node without
            anything to embed, or with half a surrogate pair in its text.
        PageError: The image cannot be opened.
    """
    content = node.get_content(metadata_mode=MetadataMode.EMBED)
    if (ref := PageRef.parse(content)) is not None:
        return stored_page(ref, context)
    if isinstance(node, ImageNode):
        return _image_of_image_node(node, context)
    if isinstance(node, Node) and node.image_resource is not None:
        return _image_of_node(node, context)
    check_text(content, subject=f"the text of node {node.node_id}")
    return text_item(content, context)


def _image_of_image_node(node: ImageNode, context: ItemContext) -> EmbeddingItem:
    if node.image:
        return opened_page(_open_base64(node.image, node), context)
    if node.image_path:
        return image_item(node.image_path, context)
    raise _no_image(node, url=node.image_url is not None)


def _image_of_node(node: Node, context: ItemContext) -> EmbeddingItem:
    resource = node.image_resource
    if resource is not None and resource.data:
        return opened_page(_open_base64(resource.data.decode("ascii"), node), context)
    if resource is not None and resource.path:
        return opened_page(open_image(resource.path), context)
    raise _no_image(node, url=resource is not None and resource.url is not None)


def _open_base64(text: str, node: BaseNode) -> PageImage:
    return open_base64(text, name=f"image of node {node.node_id}")


def _no_image(node: BaseNode, *, url: bool) -> OptionError:
    found = "only an image URL, which is never fetched" if url else "no image"
    return OptionError(
        f"{type(node).__name__} {node.node_id} has {found}; give it image_path, or the bytes as "
        f"base64. Bytes in image_resource are lost where LlamaIndex stores a node: use a path."
    )
