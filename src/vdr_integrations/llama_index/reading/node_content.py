"""The picture that a node or Document holds, not opened yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llama_index.core.schema import ImageNode, Node

from vdr_integrations.errors import OptionError
from vdr_integrations.pages.images.any_image import decoded_base64

if TYPE_CHECKING:
    from llama_index.core.schema import BaseNode

__all__ = ["picture_of"]


def picture_of(node: BaseNode) -> Path | bytes | None:
    """Path or bytes of the picture; None if the node is of a kind without one.

    Raises:
        OptionError: An image node without an image, or with only a URL.
        ImageDecodeError: Something else than base64 in the place of an image.
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
        return decoded_base64(data, name=f"image of node {node.node_id}")
    if path:
        return Path(path)
    found = "only an image URL, which is never fetched" if has_url else "no image"
    raise OptionError(
        f"{type(node).__name__} {node.node_id} has {found}; give it image_path, or the bytes as "
        f"base64. LlamaIndex does not store the bytes in image_resource with a node: use a path."
    )
