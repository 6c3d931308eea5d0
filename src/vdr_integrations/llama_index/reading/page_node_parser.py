"""From page Documents to the image nodes that indexes embed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.node_parser import NodeParser
from llama_index.core.node_parser.interface import IdFuncCallable  # noqa: TC002  # pydantic reads it
from llama_index.core.schema import BaseNode, Document, ImageNode
from llama_index.core.utils import get_tqdm_iterable
from pydantic import ConfigDict, Field, field_validator

from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index.reading.page_nodes import image_node, page_node_id, page_ref

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PDFPageNodeParser"]


class PDFPageNodeParser(NodeParser):
    """One ``ImageNode`` for each page Document of :class:`PDFPageReader`.

    The node's EMBED content is its page reference and nothing else, which
    :class:`VDREmbedding` embeds as the page's image; so do stock indexes, pipelines and their
    caches work with pages. Language models get the page's image where they take images, and its
    file, page number and text layer in any case. Nodes keep the metadata of their Documents.

    Put it first among the transformations, and instead of a text splitter.

    Attributes:
        id_func: Gives node ids of a node's place and Document. The default makes the same UUIDs
            in every run, so that inserting a page again replaces it.
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
        is_page = page_ref(node) is not None
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
            f"{what} is a piece of a page; put PDFPageNodeParser first among the transformations, "
            f"and no text splitter beside it."
        )
    file_path = str(node.metadata.get("file_path") or node.metadata.get("file_name") or "")
    if file_path.lower().endswith(".pdf"):
        return OptionError(
            f"{what} holds text of {file_path}, not pages; read PDFs with PDFPageReader, or "
            f'SimpleDirectoryReader(file_extractor={{".pdf": PDFPageReader()}}).'
        )
    return OptionError(
        f"{what} ({file_path or 'of no file'}) is not a page of PDFPageReader; parse other "
        f"documents with their own node parser, and index.insert_nodes(...) both."
    )
