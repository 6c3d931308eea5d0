"""Turns page Documents and pictures into the image nodes that indexes embed."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.node_parser import NodeParser
from llama_index.core.node_parser.interface import IdFuncCallable  # noqa: TC002  # pydantic reads it
from llama_index.core.schema import BaseNode, Document, ImageNode
from llama_index.core.utils import get_tqdm_iterable
from pydantic import ConfigDict, Field, field_validator

from vdr_integrations.defaults import DEFAULT_VISUAL_TOKENS
from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index.reading.node_content import picture_of
from vdr_integrations.llama_index.reading.page_nodes import image_node, page_document, page_node_id
from vdr_integrations.pages.document_kind import named_kind
from vdr_integrations.pages.on_error import raise_error
from vdr_integrations.retrieval.document_source import source_of_name
from vdr_integrations.retrieval.page_metadata import (
    CITATION_KEY,
    PAGE_KEY,
    file_name_among,
    page_ref_among,
)
from vdr_integrations.retrieval.pages_into_store import PageReading

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PDFPageNodeParser"]


class PDFPageNodeParser(NodeParser):
    """One ``ImageNode`` for each page: of Documents of :class:`PDFPageReader`, and of pictures.

    The EMBED content of the node is only its page reference, which :class:`VDREmbedding` embeds as
    the page's image; so LlamaIndex's own indexes, pipelines and caches work with pages. A language
    model gets the citation and the text layer, and the image too if it accepts images. Nodes keep
    the metadata of their Documents.

    ``ImageDocument`` s and ``ImageNode`` s with a path or bytes, as ``SimpleDirectoryReader`` makes
    them of picture files, become pages too: the picture goes into the page store, each page of a
    TIFF for itself, and the text that they have is their text layer.

    Make it the first transformation, and do not use a text splitter. Without it, LlamaIndex's
    ``SentenceSplitter`` and ``TokenTextSplitter`` make image nodes of page Documents, with the same
    vectors, random ids and no text layer; others may make several nodes of a page. Of pictures they
    make nodes without pictures, which ``VDREmbedding`` refuses.
    ``load_index_from_storage(..., transformations=[PDFPageNodeParser()])`` gives it to a stored
    index, for ``insert`` and ``refresh_ref_docs``.

    Attributes:
        id_func: Makes the id of a node from its position and its Document. The default is the id
            that the page has in every index, so that a page that is inserted again replaces the
            old one.
        max_visual_tokens: Size at which pictures are stored.
        token_side_px: Side of a visual token's square: 28 pixels, 32 for Qwen3-VL.
        page_store_path: Folder or URL of the page store for pictures; None uses
            ``$VDR_PAGE_STORE``, or the user's data folder.
    """

    model_config = ConfigDict(extra="forbid")

    id_func: IdFuncCallable = Field(default=page_node_id)
    max_visual_tokens: int = Field(default=DEFAULT_VISUAL_TOKENS, ge=1)
    token_side_px: int = Field(default=28, ge=1)
    page_store_path: str | None = None

    @classmethod
    def class_name(cls) -> str:
        """``"PDFPageNodeParser"``."""
        return "PDFPageNodeParser"

    @field_validator("id_func", mode="before")
    @classmethod
    def _restore_id_func(cls, value: Any) -> Any:  # noqa: ANN401  # to_dict writes only a name
        return page_node_id if value == {**_DEFAULT_ID_FUNC, "title": "id_func"} else value

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401  # LlamaIndex's signature
        """The options, with a text that is another one each time.

        The cache of an ``IngestionPipeline`` knows nodes by their texts only, and two pictures may
        have the same. It must not answer in place of this parser; what it makes can be cached.
        """
        return {**super().to_dict(**kwargs), _NEVER_CACHED: uuid.uuid4().hex}

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:  # noqa: ANN401
        """A parser with the options of :meth:`to_dict`."""
        return super().from_dict({k: v for k, v in data.items() if k != _NEVER_CACHED}, **kwargs)

    def _parse_nodes(
        self,
        nodes: Sequence[BaseNode],
        show_progress: bool = False,  # noqa: FBT001, FBT002  # LlamaIndex's signature
        **kwargs: Any,  # noqa: ANN401, ARG002  # what indexes hand to every transformation
    ) -> list[BaseNode]:
        with_progress = get_tqdm_iterable(nodes, show_progress, "Parsing pages")
        pages = [page for node in with_progress for page in self._parse(node)]
        _refuse_two_of_one_name(pages)
        return pages

    def _parse(self, node: BaseNode) -> list[BaseNode]:
        if page_ref_among(node.metadata) is None:
            return self._pages_of_picture(node)
        if isinstance(node, Document):
            return [image_node(node, node_id=self.id_func(0, node))]
        if isinstance(node, ImageNode):
            return [node]
        raise OptionError(
            f"{type(node).__name__} {node.node_id} is a piece of a page; make PDFPageNodeParser "
            f"the first transformation, and use no text splitter."
        )

    def _pages_of_picture(self, node: BaseNode) -> list[BaseNode]:
        picture, facts = picture_of(node), node.metadata
        if picture is None:
            raise _not_a_page(node)
        text = node.get_content()
        tokens, side = self.max_visual_tokens, self.token_side_px
        reading = PageReading.of(self.page_store_path, max_visual_tokens=tokens, token_side_px=side)
        found: list[BaseNode] = []
        for page in reading.read(
            picture,
            source=picture if isinstance(picture, Path) else source_of_name(facts.get("file_path")),
            file_name=file_name_among(facts),
            metadata={**facts, "text": text},
            on_error=raise_error,
        ):
            read = replace(page, text=page.text or text)
            path = Path(reading.store.place(page.page_ref))
            document = page_document(read, image_path=path, extra_info=facts)
            node_id = self.id_func(page.page_number - 1, document)
            found.append(image_node(document, node_id=node_id, made_from=node))
        return found


_NEVER_CACHED = "never_cached"
_DEFAULT_ID_FUNC = {"id_func_name": page_node_id.__name__}


def _refuse_two_of_one_name(pages: list[BaseNode]) -> None:
    """Refuse two pictures of one name: one would replace the other in an index."""
    refs: dict[str, str] = {}
    for page in pages:
        ref = page.metadata[PAGE_KEY]
        if refs.setdefault(page.node_id, ref) != ref:
            raise OptionError(
                f"{page.metadata.get(CITATION_KEY, page.node_id)}: two different pages of these "
                f"nodes have this name, so one would replace the other. Give each picture a "
                f"file_path of its own, or none: then its content is its name."
            )


def _not_a_page(node: BaseNode) -> OptionError:
    what = f"{type(node).__name__} {node.node_id}"
    file_path = str(node.metadata.get("file_path") or node.metadata.get("file_name") or "")
    if named_kind(PurePath(file_path)) is not None:
        return OptionError(
            f"{what} holds text of {file_path}, not pages; read PDFs and pictures with "
            f"PDFPageReader, or SimpleDirectoryReader(..., "
            f"file_extractor=PDFPageReader().by_suffix())."
        )
    return OptionError(
        f"{what} ({file_path or 'no file'}) is not a page of PDFPageReader; parse other documents "
        f"with their own node parser, and add the nodes of both with index.insert_nodes(...)."
    )
