"""What is compared: searches of indexes with their options, and BM25 over text layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vdr_integrations.evaluation.judged_ranking import PageKey, Ranking
from vdr_integrations.evaluation.text_baseline import text_ranking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vdr_integrations.index import StoredPage
    from vdr_integrations.retrieval import PageSearcher

__all__ = ["RANKED_PAGES", "SearchSystem", "System", "TextSystem"]

RANKED_PAGES = 1000
"""Pages that a ranking holds at most. A relevant page after them counts as not found, as in
trec_eval."""


class System(Protocol):
    """Ranks pages for questions."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def rankings(
        self, questions: Sequence[str], *, sources: Sequence[str] | None
    ) -> Iterator[Ranking]:
        """The ranking of each question, in order.

        Args:
            questions: In plain words.
            sources: Only pages of these documents; None: all pages.
        """
        ...


@dataclass(frozen=True, slots=True)
class SearchSystem:
    """Searches of an index.

    Attributes:
        name: What tables call it.
        searcher: The index with its encoder.
        options: Arguments of ``PageSearcher.search_many`` beside questions, ``k`` and ``filter``.
    """

    name: str
    searcher: PageSearcher
    options: Mapping[str, Any] = field(default_factory=lambda: {"exhaustive": True})

    def rankings(
        self, questions: Sequence[str], *, sources: Sequence[str] | None
    ) -> Iterator[Ranking]:
        """See :meth:`System.rankings`."""
        where = None if sources is None else {"source": list(sources)}
        found = self.searcher.search_many(
            list(questions), k=RANKED_PAGES, filter=where, **self.options
        )
        for hits in found:
            yield Ranking(
                [(hit.source, hit.page_number) for hit in hits],
                np.array([hit.score for hit in hits], np.float32),
            )


@dataclass(frozen=True, slots=True)
class TextSystem:
    """BM25 over the text layers that an index keeps.

    Attributes:
        pages: The pages of the index.
        name: What tables call it.
    """

    pages: Sequence[StoredPage]
    name: str = "BM25"

    def rankings(
        self, questions: Sequence[str], *, sources: Sequence[str] | None
    ) -> Iterator[Ranking]:
        """See :meth:`System.rankings`."""
        pages = [page for page in self.pages if sources is None or page.source in sources]
        keys: list[PageKey] = [(page.source, page.page_number) for page in pages]
        for scores in text_ranking(questions, [page.text for page in pages]):
            # Pages with 0 are kept, beyond the limit too: each has its share of the ranks.
            order = np.argsort(-scores, kind="stable")
            yield Ranking([keys[at] for at in order], scores[order])
