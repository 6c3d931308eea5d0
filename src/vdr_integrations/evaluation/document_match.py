"""Finds the pages of an index that questions name, and says why a question cannot be asked."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vdr_integrations.evaluation.judged_question import JudgedQuestion
    from vdr_integrations.evaluation.judged_ranking import PageKey
    from vdr_integrations.index import StoredPage

__all__ = ["AskableQuestion", "LeftOut", "match_documents"]


@dataclass(frozen=True, slots=True)
class AskableQuestion:
    """A question whose relevant pages are all in the index.

    Attributes:
        question: As it was read.
        relevant: Grades of its pages by their keys in the index.
        sources: The documents of these pages.
    """

    question: JudgedQuestion
    relevant: Mapping[PageKey, int]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A question that cannot be asked.

    Attributes:
        question: As it was read.
        reason: Why, without a full stop; the same text for the same cause.
    """

    question: JudgedQuestion
    reason: str


def match_documents(
    questions: Sequence[JudgedQuestion], pages: Sequence[StoredPage]
) -> tuple[list[AskableQuestion], list[LeftOut]]:
    """Find the pages of questions.

    A name fits a document if it is its source or the end of its path, in whole parts, in any
    Unicode normal form; or if the file at this path is its file, also by a link.

    Args:
        questions: In any order; the results keep it.
        pages: The pages of the index.
    """
    names = _Names(pages)
    asked: list[AskableQuestion] = []
    left: list[LeftOut] = []
    for question in questions:
        found = names.resolve(question)
        if isinstance(found, str):
            left.append(LeftOut(question, found))
        else:
            asked.append(
                AskableQuestion(question, found, tuple(dict.fromkeys(key[0] for key in found)))
            )
    return asked, left


class _Names:
    def __init__(self, pages: Sequence[StoredPage]) -> None:
        self._numbers: dict[str, set[int]] = defaultdict(set)
        self._totals: dict[str, int] = {}
        for page in pages:
            self._numbers[page.source].add(page.page_number)
            self._totals[page.source] = page.total_pages
        self._by_end: dict[str, list[str]] = defaultdict(list)
        for source in self._numbers:
            self._by_end[_plain(PurePosixPath(source).name)].append(source)
        self._real: dict[str, list[str]] | None = None
        self._found: dict[str, list[str]] = {}

    def resolve(self, question: JudgedQuestion) -> dict[PageKey, int] | str:
        """The pages of a question with their grades; or why there are none."""
        found: dict[PageKey, int] = {}
        for page in question.relevant:
            sources = self._sources(page.document)
            if not sources:
                return f"{page.document} is not among the documents"
            if len(sources) > 1:
                return f"{len(sources)} documents are called {page.document}; name the folder too"
            source = sources[0]
            if page.page_number > self._totals[source]:
                return (
                    f"{page.document} has {self._totals[source]} pages, and the question names "
                    f"page {page.page_number}"
                )
            if page.page_number not in self._numbers[source]:
                return f"{page.document} page {page.page_number} could not be indexed"
            key = (source, page.page_number)
            found[key] = max(page.grade, found.get(key, 0))
        return found

    def _sources(self, name: str) -> list[str]:
        """The documents that a name fits; each name is looked up once."""
        if name not in self._found:
            self._found[name] = [name] if name in self._numbers else self._fitting(name)
        return self._found[name]

    def _fitting(self, name: str) -> list[str]:
        wanted = PurePosixPath(_plain(name.replace("\\", "/"))).parts
        fitting = [
            source
            for source in self._by_end.get(wanted[-1] if wanted else "", [])
            if PurePosixPath(_plain(source)).parts[-len(wanted) :] == wanted
        ]
        if fitting:
            return fitting
        if "\0" in name:  # no file has such a name
            return []
        if self._real is None:
            self._real = defaultdict(list)
            for source in self._numbers:
                self._real[os.path.realpath(source)].append(source)
        return self._real.get(os.path.realpath(name), [])


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)
