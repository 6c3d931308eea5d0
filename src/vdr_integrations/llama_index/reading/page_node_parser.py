"""Turns page Documents into the image nodes that indexes embed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.node_parser import NodeParser
from llama_index.core.node_parser.interface import IdFuncCallable  # noqa: TC002  # pydantic reads it
from llama_index.core.schema import BaseNode, Document, ImageNode
from llama_index.core.utils import get_tqdm_iterable
from pydantic import ConfigDict, Field, field_validator

from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index.reading.page_nodes import image_node, page_node_id
from vdr_integrations.retrieval.found_page import page_ref_among

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PDFPageNodeParser"]


class PDFPageNodeParser(NodeParser):
    """One ``ImageNode`` for each page Document of :class:`PDFPageReader`.

    The EMBED content of the node is only its page reference, which :class:`VDREmbedding` embeds as
    the page's image; so LlamaIndex's own indexes, pipelines and caches work with pages. A language
    model gets the citation and the text layer, and the image too if it accepts images. Nodes keep
    the metadata of their Documents.

    Make it the first transformation, and do not use a text splitter.

    Attributes:
        id_func: Makes the id of a node from its position and its Document. The default makes the
            same UUIDs in every run, so that a page that is inserted again replaces the old one.
    """

    model_config = ConfigDict(extra="forbid")

    id_func: IdFuncCallable = Field(default=page_node_id)

    @classmethod
    def class_name(cls) -> str:
        """``"PDFPageNodeParser"``."""
        return "PDFPageNodeParser"

    @field_validator("id_func", mode="before")
    @classmethod
    def _restore_id_func(cls, value: Any) -> Any:  # noqa: ANN401  # to_dict writes only a name
        return page_node_id if value == {**_DEFAULT_ID_FUNC, "title": "id_func"} else value

    def _parse_nodes(
        self,
        nodes: Sequence[BaseNode],
        show_progress: bool = False,  # noqa: FBT001, FBT002  # LlamaIndex's signature
        **kwargs: Any,  # noqa: ANN401, ARG002  # what indexes hand to every transformation
    ) -> list[BaseNode]:
        return [
            self._parse(node) for node in get_tqdm_iterable(nodes, show_progress, "Parsing pages")
        ]

    def _parse(self, node: BaseNode) -> BaseNode:
        is_page = page_ref_among(node.metadata) is not None
        if is_page and isinstance(node, Document):
            return image_node(node, node_id=self.id_func(0, node))
        if is_page and isinstance(node, ImageNode):
            return node
        raise _not_a_page(node, is_page=is_page)


_DEFAULT_ID_FUNC = {"id_func_name": page_node_id.__name__}


def _not_a_page(node: BaseNode, *, is_page: bool) -> OptionError:
    what = f"{type(node).__name__} {node.node_id}"
    if is_page:
        return OptionError(
            f"{what} is a piece of a page; make PDFPageNodeParser the first transformation, and "
            f"use no text splitter."
        )
    file_path = str(node.metadata.get("file_path") or node.metadata.get("file_name") or "")
    if file_path.lower().endswith(".pdf"):
        return OptionError(
            f"{what} holds text of {file_path}, not pages; read PDFs with PDFPageReader, or "
            f'SimpleDirectoryReader(file_extractor={{".pdf": PDFPageReader()}}).'
        )
    return OptionError(
        f"{what} ({file_path or 'no file'}) is not a page of PDFPageReader; parse other documents "
        f"with their own node parser, and add the nodes of both with index.insert_nodes(...)."
    )
