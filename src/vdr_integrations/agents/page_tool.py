"""What the tool of an agent does in any framework: show search results, or open a found page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vdr_integrations.agents.found_pages import FoundPages
from vdr_integrations.agents.replies import EMPTY_INDEX, AgentViews, Reply
from vdr_integrations.agents.view_limits import ViewLimits
from vdr_integrations.pages import PageStore
from vdr_integrations.retrieval.box import Box
from vdr_integrations.retrieval.page_pictures import PagePictures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vdr_integrations.agents.tool_call import VisualSearchCall
    from vdr_integrations.retrieval.found_page import FoundPage
    from vdr_integrations.retrieval.page_searcher import PageSearcher

__all__ = ["PageTool", "matched_box"]


@dataclass(frozen=True, slots=True)
class PageTool:
    """Answers calls of one tool.

    Attributes:
        page_store: Store of the images of found pages.
        limits: Limits of one call.
        found: The pages that may be opened.
        searcher: The searcher that found them, if it knows which part of a page matched.
    """

    page_store: PageStore = field(default_factory=PageStore)
    limits: ViewLimits = field(default_factory=ViewLimits)
    found: FoundPages = field(default_factory=FoundPages)
    searcher: PageSearcher | None = None

    def opened(self, call: VisualSearchCall) -> Reply:
        """The page that a call opens, or a region of it.

        Raises:
            OptionError: No search of this tool found the page.
            PageError: The image is not available.
        """
        box = None if call.region is None else call.region.box()
        return self._views.page_reply(self.found.get(call.page_ref or ""), box=box)

    def shown(self, call: VisualSearchCall, pages: Sequence[FoundPage]) -> Reply:
        """The pages that a search found; from now on they may be opened.

        Args:
            call: A call with a question.
            pages: The found pages, best first.

        Raises:
            VdrError: The call includes regions, and index or model cannot be used.
        """
        question = call.question or ""
        if not pages and self.searcher is not None and self.searcher.index.is_empty:
            return Reply((EMPTY_INDEX,))
        self.found.remember(pages)
        return self._views.search_reply(
            question, pages, include_region=call.include_region, regions=self._regions(question)
        )

    def _regions(self, question: str) -> Callable[[FoundPage], Box | None] | None:
        searcher = self.searcher
        return None if searcher is None else lambda page: matched_box(searcher, question, page)

    @property
    def _views(self) -> AgentViews:
        return AgentViews(PagePictures(self.page_store), self.limits)


def matched_box(searcher: PageSearcher, question: str, page: FoundPage) -> Box | None:
    """The part of a page that a question matched best; None if nothing stands out."""
    found = searcher.regions(question, page, count=1)
    return Box.around(found[0]) if found else None
