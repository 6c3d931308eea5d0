"""A question whose answering pages are known. Plain data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MOST_GRADE", "JudgedQuestion", "RelevantPage"]

MOST_GRADE = 1_000_000
"""Largest grade: sums of gains are exact, and no scale of judgements is larger."""


@dataclass(frozen=True, slots=True)
class RelevantPage:
    """A page that answers a question.

    Attributes:
        document: Name of its document: a file name, the end of a path, or a whole path.
        page_number: 1-based.
        grade: How much it helps, from 1 to 1,000,000. NDCG counts a page with this gain.
    """

    document: str
    page_number: int
    grade: int = 1


@dataclass(frozen=True, slots=True)
class JudgedQuestion:
    """A question with the pages that answer it.

    Attributes:
        question_id: Unique in its file.
        text: The question in plain words.
        relevant: At least one page, each once.
        language: As the file says, such as ``"de"``; None if it does not say.
        kinds: Kinds of evidence, such as ``"Table"``; may be empty.
    """

    question_id: str
    text: str
    relevant: tuple[RelevantPage, ...]
    language: str | None = None
    kinds: tuple[str, ...] = ()

    @property
    def documents(self) -> tuple[str, ...]:
        """Names of the documents of its relevant pages, each once."""
        return tuple(dict.fromkeys(page.document for page in self.relevant))
