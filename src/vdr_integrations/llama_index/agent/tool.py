"""LlamaIndex tool that an agent uses to search pages and to look at them."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any, Unpack

from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.tools import AsyncBaseTool, ToolMetadata, ToolOutput

from vdr_integrations.agents import EncodedPicture, FoundPages, PictureLink, ViewLimits
from vdr_integrations.agents.page_tool import PageTool
from vdr_integrations.agents.tool_call import (
    TOOL_DESCRIPTION,
    TOOL_NAME,
    VisualSearchCall,
    parse_call,
)
from vdr_integrations.agents.untrusted_text import error_line
from vdr_integrations.errors import VdrError
from vdr_integrations.llama_index.retrieval.page_of_node import found_page
from vdr_integrations.llama_index.retrieval.retriever import LateInteractionRetriever
from vdr_integrations.pages import PageStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeWithScore

    from vdr_integrations.agents import Reply, ReplyPart
    from vdr_integrations.agents.tool_call import CallArguments

__all__ = ["VisualDocumentSearchTool"]


class VisualDocumentSearchTool(AsyncBaseTool):
    """Searches pages for an agent, and opens the pages that it found.

    A call with ``question`` returns for each hit, within ``limits``, a text block (citation,
    score, excerpt, page reference) and the page as an image block. With ``include_region`` and a
    ``LateInteractionRetriever`` it also shows the part of the page that matched. A call with
    ``page_ref`` opens a page that a search of this tool found, or a ``region`` of it, at a higher
    resolution: it is drawn again from its PDF if that has not changed. It opens nothing else.

    If the model makes a mistake, or a page cannot be used, the output has ``is_error`` and a
    message that says what to do. The tool only reads. Any number of threads and tasks may call it.

    Example:
        >>> tool = VisualDocumentSearchTool(index.as_retriever())  # doctest: +SKIP
        >>> agent = FunctionAgent(tools=[tool], llm=llm)  # doctest: +SKIP
        >>> print(tool.call(question="How did revenue change?").content)  # doctest: +SKIP
    """

    def __init__(
        self,
        retriever: BaseRetriever,
        *,
        name: str = TOOL_NAME,
        description: str = TOOL_DESCRIPTION,
        limits: ViewLimits | None = None,
        page_store_path: str | None = None,
    ) -> None:
        """Load nothing yet.

        Args:
            retriever: ``LateInteractionRetriever``, or any over nodes of ``PDFPageNodeParser``.
            name: Name of the tool for the model.
            description: Text that the model reads; say what the documents are about.
            limits: Limits of one call.
            page_store_path: Folder or URL of the page store; None uses that of a
                ``LateInteractionRetriever``, ``$VDR_PAGE_STORE``, or the user's data folder.
        """
        if page_store_path is None and isinstance(retriever, LateInteractionRetriever):
            page_store_path = retriever.page_store_path
        self.retriever = retriever
        self.limits = ViewLimits() if limits is None else limits
        self.page_store_path = page_store_path
        self._metadata = ToolMetadata(
            name=name, description=description, fn_schema=VisualSearchCall
        )
        self._found = FoundPages()

    @property
    def metadata(self) -> ToolMetadata:
        """Name, description and input schema."""
        return self._metadata

    def call(  # pyright: ignore[reportIncompatibleMethodOverride]  # called by name, see the schema
        self, question: str | None = None, **arguments: Unpack[CallArguments]
    ) -> ToolOutput:
        """Search with ``question``, or open ``page_ref``.

        Args:
            question: What to look for, in plain words.
            **arguments: ``k``: maximum number of hits; None uses that of the retriever.
                ``include_region``: also show the part of each page that matched. ``page_ref``:
                reference of a page that a search of this tool found. ``region``: ``{"left": ..,
                "top": .., "right": .., "bottom": ..}``, fractions of the page.
        """
        given = {"question": question, **arguments}
        try:
            call = parse_call(given)
            if call.page_ref is not None:
                return self._output(self._page_tool.opened(call), given, [])
            nodes = self._retriever(call.k).retrieve(call.question or "")
            return self._search_output(call, nodes, given)
        except VdrError as error:
            return self._error_output(error, given)

    async def acall(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, question: str | None = None, **arguments: Unpack[CallArguments]
    ) -> ToolOutput:
        """:meth:`call` without blocking the event loop."""
        given = {"question": question, **arguments}
        try:
            call = parse_call(given)
            if call.page_ref is not None:
                reply = await asyncio.to_thread(self._page_tool.opened, call)
                return self._output(reply, given, [])
            nodes = await self._retriever(call.k).aretrieve(call.question or "")
            return await asyncio.to_thread(self._search_output, call, nodes, given)
        except VdrError as error:
            return self._error_output(error, given)

    def _search_output(
        self, call: VisualSearchCall, nodes: Sequence[NodeWithScore], given: dict[str, Any]
    ) -> ToolOutput:
        shown = list(nodes if call.k is None else nodes[: call.k])
        pages = [found_page(hit.node, score=hit.score) for hit in shown]
        return self._output(self._page_tool.shown(call, pages), given, shown)

    def _retriever(self, k: int | None) -> BaseRetriever:
        """The retriever, or a copy of it that returns ``k`` hits if it has that option."""
        if k is not None:
            self.limits.check_pages(k)
        if k is None or not isinstance(getattr(self.retriever, "similarity_top_k", None), int):
            return self.retriever
        other: Any = copy.copy(self.retriever)
        other.similarity_top_k = k
        candidates = getattr(other, "candidates", None)
        if isinstance(candidates, int):
            other.candidates = max(candidates, other.similarity_top_k)
        return other

    @property
    def _page_tool(self) -> PageTool:
        late = self.retriever if isinstance(self.retriever, LateInteractionRetriever) else None
        return PageTool(
            page_store=PageStore(self.page_store_path),
            limits=self.limits,
            found=self._found,
            searcher=None if late is None else late.searcher,
        )

    def _output(
        self, reply: Reply, given: dict[str, Any], nodes: Sequence[NodeWithScore]
    ) -> ToolOutput:
        return ToolOutput(
            tool_name=self.metadata.get_name(),
            blocks=[_block(part) for part in reply.parts],
            raw_input=_without_none(given),
            raw_output=nodes,
        )

    def _error_output(self, error: VdrError, given: dict[str, Any]) -> ToolOutput:
        message = error_line(error)
        return ToolOutput(
            tool_name=self.metadata.get_name(),
            content=message,
            raw_input=_without_none(given),
            raw_output=message,
            is_error=True,
            exception=error,
        )


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _block(part: ReplyPart) -> TextBlock | ImageBlock:
    if isinstance(part, EncodedPicture):
        return ImageBlock(image=part.data, image_mimetype=part.mime_type)
    return TextBlock(text=part.text if isinstance(part, PictureLink) else part)
