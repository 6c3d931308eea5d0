"""Questions asked of systems, and what the results say of groups of questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from vdr_integrations.evaluation import (
    JudgedQuestion,
    Ranking,
    RelevantPage,
    TextSystem,
    evaluate,
    match_documents,
)
from vdr_integrations.index import StoredPage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def page(source: str, number: int, text: str) -> StoredPage:
    return StoredPage("id", source, number, str(number), "", 2, text, None)


PAGES = [
    page("/a.pdf", 1, "apples"),
    page("/a.pdf", 2, "pears"),
    page("/b.pdf", 1, "apples apples apples apples"),
    page("/b.pdf", 2, "cherries"),
    page("/scan.pdf", 1, ""),
    page("/scan.pdf", 2, " \n"),
]
QUESTIONS = [
    JudgedQuestion("1", "apples", (RelevantPage("a.pdf", 1),), "en", ("Table",)),
    JudgedQuestion("2", "cherries", (RelevantPage("b.pdf", 2),), "de", ("Table", "Chart")),
    JudgedQuestion("3", "plums", (RelevantPage("scan.pdf", 2),)),
]


@dataclass
class Fixed:
    """Ranks pages in one order, whatever is asked."""

    name: str
    order: Sequence[tuple[str, int]]

    def rankings(
        self, questions: Sequence[str], *, sources: Sequence[str] | None
    ) -> Iterator[Ranking]:
        kept = [key for key in self.order if sources is None or key[0] in sources]
        for _ in questions:
            yield Ranking(kept, np.arange(len(kept), 0, -1, dtype=np.float32))


def test_a_question_is_asked_within_its_document_and_among_all_pages() -> None:
    asked, _ = match_documents(QUESTIONS, PAGES)
    found = evaluate(asked, [TextSystem(PAGES)], PAGES)
    within = [one.rank for one in found.found["BM25"]["within"]]
    everywhere = [one.rank for one in found.found["BM25"]["all"]]
    assert within == [1, 1, 1.5]
    assert everywhere == [2, 1, 3.5]
    assert found.page_count == 6
    assert found.mean("BM25", "within", "hit@1").mean == pytest.approx((1 + 1 + 0.5) / 3)


def test_questions_are_grouped_by_text_layer_language_kind_and_document() -> None:
    asked, _ = match_documents(QUESTIONS, PAGES)
    groups = evaluate(asked, [], PAGES).groups
    assert {name: [*members] for name, members in groups.items()} == {
        "all": [True, True, True],
        "scans": [False, False, True],
        "born digital": [True, True, False],
        "kind Chart": [False, True, False],
        "kind Table": [True, True, False],
        "language de": [False, True, False],
        "language en": [True, False, False],
        "document a.pdf": [True, False, False],
        "document b.pdf": [False, True, False],
        "document scan.pdf": [False, False, True],
    }
    assert list(groups)[:3] == ["all", "scans", "born digital"]


def test_systems_are_compared_question_by_question() -> None:
    asked, _ = match_documents(QUESTIONS, PAGES)
    keys = [(one.source, one.page_number) for one in PAGES]
    right = Fixed("right", keys)
    wrong = Fixed("wrong", keys[::-1])
    found = evaluate(asked, [right, wrong], PAGES)
    first = np.array([one.measures for one in found.found["right"]["within"]])
    second = np.array([one.measures for one in found.found["wrong"]["within"]])
    differs = found.difference("right", "wrong", "within", "ndcg@5")
    assert differs.mean == pytest.approx(float((first - second)[:, 0].mean()))
    assert differs.low <= differs.mean <= differs.high
    assert found.difference("right", "right", "all", "mrr")[:3] == (0, 0, 0)
    assert found.mean("right", "all", "mrr", "scans").questions == 1


def test_pages_that_do_not_count_are_taken_out_of_rankings() -> None:
    asked, _ = match_documents(QUESTIONS[:1], PAGES)
    system = Fixed("all", [("/b.pdf", 1), ("/a.pdf", 1)])
    everything = evaluate(asked, [system], PAGES)
    fewer = evaluate(asked, [system], [one for one in PAGES if one.source != "/b.pdf"])
    assert everything.found["all"]["all"][0].rank == 2
    assert fewer.found["all"]["all"][0].rank == 1


def test_progress_is_told_after_each_ranking() -> None:
    asked, _ = match_documents(QUESTIONS, PAGES)
    told: list[tuple[str, int]] = []

    def progress(name: str, done: int) -> None:
        told.append((name, done))

    evaluate(asked, [TextSystem(PAGES)], PAGES, on_progress=progress)
    assert told == [("BM25", number) for number in range(1, 7)]
