"""LangChain tool that an agent uses to search pages and to look at them."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Literal, Unpack

from langchain_core.messages.content import create_image_block, create_text_block
from langchain_core.retrievers import BaseRetriever  # noqa: TC002  # pydantic reads it
from langchain_core.tools import ArgsSchema, BaseTool, ToolException
from pydantic import ConfigDict, Field, PrivateAttr, SkipValidation, ValidationError

from vdr_integrations.agents import EncodedPicture, FoundPages, PictureLink, ViewLimits
from vdr_integrations.agents.page_tool import PageTool
from vdr_integrations.agents.tool_call import (
    TOOL_DESCRIPTION,
    TOOL_NAME,
    VisualSearchCall,
    parse_call,
    validation_message,
)
from vdr_integrations.agents.untrusted_text import error_line
from vdr_integrations.errors import VdrError
from vdr_integrations.langchain.retrieval.hit_documents import found_page
from vdr_integrations.langchain.retrieval.retriever import LateInteractionRetriever
from vdr_integrations.pages import PageStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import (
        AsyncCallbackManagerForToolRun,
        BaseCallbackManager,
        CallbackManagerForToolRun,
    )
    from langchain_core.documents import Document
    from langchain_core.messages.content import ImageContentBlock, TextContentBlock

    from vdr_integrations.agents import Reply, ReplyPart
    from vdr_integrations.agents.tool_call import CallArguments

    ContentAndArtifact = tuple[list[TextContentBlock | ImageContentBlock], list[Document]]

__all__ = ["VisualDocumentSearchTool"]


def _error_text(error: Any) -> str:  # noqa: ANN401  # pydantic 1's error is another class
    return validation_message(error) if isinstance(error, ValidationError) else str(error)


class VisualDocumentSearchTool(BaseTool):
    """Searches pages for an agent, and opens the pages that it found.

    A call with ``question`` returns for each hit, within ``limits``, a text block (citation, score
    if the retriever has one, excerpt, page reference) and the page as an image block; the artifact
    is the documents. With ``include_region`` and a ``LateInteractionRetriever`` it also shows the
    part of the page that matched. A call with ``page_ref`` opens a page that a search of this tool
    found, or a ``region`` of it, at a higher resolution: it is drawn again from its PDF if the PDF
    has not changed. Nothing else can be opened.

    If the model makes a mistake, or a page cannot be used, the tool message has the status "error"
    and says what to do. The tool only reads. Any number of threads and tasks may call it.

    Example:
        >>> tool = VisualDocumentSearchTool(retriever=store.as_retriever())  # doctest: +SKIP
        >>> agent = create_agent(model, tools=[tool])  # doctest: +SKIP
        >>> tool.invoke({"question": "How did revenue change?"})  # doctest: +SKIP
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    retriever: BaseRetriever
    """``LateInteractionRetriever``, or that of a vector store with ``PDFPageLoader``'s pages."""

    limits: ViewLimits = Field(default_factory=ViewLimits)
    """Limits of one call."""

    page_store_path: str | None = None
    """Folder or URL of the page store; None uses that of a ``LateInteractionRetriever``,
    ``$VDR_PAGE_STORE``, or the user's data folder."""

    name: str = TOOL_NAME
    """Name of the tool for the model."""

    description: str = TOOL_DESCRIPTION
    """Text that the model reads; say what the documents are about."""

    args_schema: SkipValidation[ArgsSchema | None] = VisualSearchCall
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True
    handle_validation_error: Any = _error_text

    _found: FoundPages = PrivateAttr(default_factory=FoundPages)

    def _run(
        self,
        question: str | None = None,
        *,
        run_manager: CallbackManagerForToolRun | None = None,
        **arguments: Unpack[CallArguments],
    ) -> ContentAndArtifact:
        try:
            call = parse_call({"question": question, **arguments})
            if call.page_ref is not None:
                return _blocks(self._page_tool.opened(call)), []
            child = None if run_manager is None else run_manager.get_child()
            options = self._search_options(call, child)
            return self._search_reply(call, self.retriever.invoke(call.question or "", **options))
        except VdrError as error:
            raise ToolException(error_line(error)) from error

    async def _arun(
        self,
        question: str | None = None,
        *,
        run_manager: AsyncCallbackManagerForToolRun | None = None,
        **arguments: Unpack[CallArguments],
    ) -> ContentAndArtifact:
        try:
            call = parse_call({"question": question, **arguments})
            if call.page_ref is not None:
                return _blocks(await asyncio.to_thread(self._page_tool.opened, call)), []
            child = None if run_manager is None else run_manager.get_child()
            options = self._search_options(call, child)
            documents = await self.retriever.ainvoke(call.question or "", **options)
            return await asyncio.to_thread(self._search_reply, call, documents)
        except VdrError as error:
            raise ToolException(error_line(error)) from error

    def _search_reply(
        self, call: VisualSearchCall, documents: Sequence[Document]
    ) -> ContentAndArtifact:
        shown = list(documents if call.k is None else documents[: call.k])
        return _blocks(self._page_tool.shown(call, [found_page(one) for one in shown])), shown

    def _search_options(
        self, call: VisualSearchCall, callbacks: BaseCallbackManager | None
    ) -> dict[str, Any]:
        options: dict[str, Any] = {"config": {"callbacks": callbacks}}
        if call.k is not None:
            self.limits.check_pages(call.k)
            if _accepts_k(self.retriever):
                options["k"] = call.k
            if self._late is not None and self._late.candidates is not None:
                options["candidates"] = max(self._late.candidates, call.k)
        if self._late is not None:
            options["with_scores"] = True
        return options

    @property
    def _late(self) -> LateInteractionRetriever | None:
        return self.retriever if isinstance(self.retriever, LateInteractionRetriever) else None

    @property
    def _page_tool(self) -> PageTool:
        late, folder = self._late, self.page_store_path
        if folder is None and late is not None:
            folder = late.page_store_path
        return PageTool(
            page_store=PageStore(folder),
            limits=self.limits,
            found=self._found,
            searcher=None if late is None else late.searcher,
        )


def _accepts_k(retriever: BaseRetriever) -> bool:
    """Whether a call of the retriever may have the option ``k``."""
    search = getattr(retriever, "_get_relevant_documents")  # noqa: B009  # LangChain looks here too
    parameters = inspect.signature(search).parameters.values()
    return any(p.name == "k" or p.kind is p.VAR_KEYWORD for p in parameters)


def _blocks(reply: Reply) -> list[TextContentBlock | ImageContentBlock]:
    return [_block(part) for part in reply.parts]


def _block(part: ReplyPart) -> TextContentBlock | ImageContentBlock:
    if isinstance(part, EncodedPicture):
        return create_image_block(base64=part.base64, mime_type=part.mime_type)
    return create_text_block(part.text if isinstance(part, PictureLink) else part)
