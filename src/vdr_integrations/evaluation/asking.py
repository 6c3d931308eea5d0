"""Asks judged questions of several systems and measures what they find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from vdr_integrations.evaluation.intervals import Mean, mean_with_interval
from vdr_integrations.evaluation.measures import MEASURES
from vdr_integrations.index.document_name import file_name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vdr_integrations.evaluation.document_match import AskableQuestion
    from vdr_integrations.evaluation.judged_ranking import RankedQuestion
    from vdr_integrations.evaluation.systems import System
    from vdr_integrations.index import StoredPage

__all__ = ["PLACES", "Evaluation", "Place", "evaluate", "groups_of"]

Place = Literal["within", "all"]
"""Where a question is asked: within its own documents, or among all pages."""

PLACES: tuple[Place, ...] = get_args(Place)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What systems found.

    Attributes:
        questions: The questions that were asked.
        groups: For each group of questions its name and whether each question is in it: ``all``,
            ``scans`` and ``born digital``, then ``language ...``, ``kind ...`` and
            ``document ...``.
        found: By the name of a system and a place, the result of each question.
        page_count: Number of pages of all documents.
    """

    questions: Sequence[AskableQuestion]
    groups: Mapping[str, Sequence[bool]]
    found: Mapping[str, Mapping[Place, Sequence[RankedQuestion]]]
    page_count: int

    def mean(self, system: str, place: Place, measure: str, group: str = "all") -> Mean:
        """The mean of a measure over a group of questions, with its interval."""
        return mean_with_interval(self._values(system, place, measure, group))

    def difference(
        self, system: str, other: str, place: Place, measure: str, group: str = "all"
    ) -> Mean:
        """How much better a system is than another, question by question, with its interval."""
        values = self._values(system, place, measure, group)
        return mean_with_interval(values - self._values(other, place, measure, group))

    def _values(self, system: str, place: Place, measure: str, group: str) -> np.ndarray:
        column = MEASURES.index(measure)
        each = [one.measures[column] for one in self.found[system][place]]
        return np.array(each, np.float64)[np.array(self.groups[group], bool)]


def evaluate(
    questions: Sequence[AskableQuestion],
    systems: Sequence[System],
    pages: Sequence[StoredPage],
    *,
    on_progress: Callable[[str, int], object] | None = None,
) -> Evaluation:
    """Ask each question within its own documents and among all pages.

    Args:
        questions: See ``match_documents``.
        systems: With different names.
        pages: The pages that count. Others are taken out of rankings. They tell scans from other
            documents.
        on_progress: Called with the name of a system and the number of rankings it has made.
    """
    counted = {(page.source, page.page_number) for page in pages}
    found: dict[str, dict[Place, list[RankedQuestion]]] = {}
    for system in systems:
        done = 0
        by_place: dict[Place, list[RankedQuestion | None]] = {}
        for place in PLACES:
            results: list[RankedQuestion | None] = [None] * len(questions)
            for sources, numbers in _asked_together(questions, place).items():
                texts = [questions[number].question.text for number in numbers]
                rankings = system.rankings(texts, sources=sources)
                for number, ranking in zip(numbers, rankings, strict=True):
                    results[number] = ranking.among(counted).judged(questions[number].relevant)
                    done += 1
                    if on_progress is not None:
                        on_progress(system.name, done)
            by_place[place] = results
        found[system.name] = {
            place: [one for one in results if one is not None]
            for place, results in by_place.items()
        }
    return Evaluation(questions, groups_of(questions, pages), found, len(pages))


def groups_of(
    questions: Sequence[AskableQuestion], pages: Sequence[StoredPage]
) -> dict[str, list[bool]]:
    """Groups of questions by name; see :class:`Evaluation`.

    A question is about scans if no page of its documents has a text layer.
    """
    with_text = {page.source for page in pages if page.text.strip()}
    names: list[set[str]] = []
    for asked in questions:
        question = asked.question
        is_scan = not with_text.intersection(asked.sources)
        own = {"all", "scans" if is_scan else "born digital"}
        own |= {f"kind {kind}" for kind in question.kinds}
        own |= {f"document {file_name_of(source)}" for source in asked.sources}
        if question.language is not None:
            own.add(f"language {question.language}")
        names.append(own)
    order = ["all", "scans", "born digital"]
    others = sorted({name for own in names for name in own}.difference(order), key=_place_in_list)
    return {name: [name in own for own in names] for name in [*order, *others]}


def _place_in_list(group: str) -> tuple[bool, str]:
    """Documents, which may be many, come after the other groups."""
    return group.startswith("document "), group


def _asked_together(
    questions: Sequence[AskableQuestion], place: Place
) -> dict[tuple[str, ...] | None, list[int]]:
    """Numbers of the questions by the documents among whose pages they are asked."""
    together: dict[tuple[str, ...] | None, list[int]] = {}
    for number, asked in enumerate(questions):
        key = None if place == "all" else asked.sources
        together.setdefault(key, []).append(number)
    return together
