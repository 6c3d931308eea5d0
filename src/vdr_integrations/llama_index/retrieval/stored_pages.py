"""Which page of the index a node is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.index.stored_page import page_id
from vdr_integrations.llama_index.reading.page_nodes import page_ref

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llama_index.core.schema import BaseNode

    from vdr_integrations.index import StoredPage

__all__ = ["candidate_ids", "stored_page_ids"]


def candidate_ids(nodes: Sequence[BaseNode]) -> list[str]:
    """Ids that the pages of ``nodes`` may have in an index, to be looked up there."""
    return list(dict.fromkeys(one for node in nodes for one in _ids(node)))


def stored_page_ids(
    nodes: Sequence[BaseNode], stored: Mapping[str, StoredPage]
) -> list[str | None]:
    """The page of each node among those that were found, or None.

    A page counts only if the index was made of the very image that the node refers to: after a
    document has changed, an older node is not mistaken for its new page.
    """
    return [_stored(node, stored) for node in nodes]


def _stored(node: BaseNode, stored: Mapping[str, StoredPage]) -> str | None:
    ref = page_ref(node)
    for one in _ids(node):
        if ref is not None and one in stored and stored[one].page_ref == str(ref):
            return one
    return None


def _ids(node: BaseNode) -> list[str]:
    ids = [node.node_id]
    number = node.metadata.get("page_number")
    if isinstance(number, int):
        for key in ("source", "file_path"):
            source = node.metadata.get(key)
            if isinstance(source, str):
                ids.append(page_id(source, number))
    return ids
