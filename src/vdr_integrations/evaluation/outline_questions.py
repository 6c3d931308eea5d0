"""Makes questions of the outlines of PDFs: the title of a section asks for the page it is on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from vdr_integrations.errors import OptionError, PageError
from vdr_integrations.evaluation.judged_question import JudgedQuestion, RelevantPage
from vdr_integrations.index.document_name import document_path
from vdr_integrations.pages import find_documents, open_pdf
from vdr_integrations.pages.document_kind import document_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

__all__ = ["OutlineQuestions", "read_outline_questions"]

_NUMBERING = re.compile(r"^(?:[A-Z]|\d+)?[\d.]*\s+")


class OutlineQuestions(NamedTuple):
    """Questions of outlines.

    Attributes:
        questions: One for each section, also if two sections have one title.
        first_pages: For each document, as the questions name it, the page of its first section,
            1-based. Pages before it (cover, contents) repeat all titles and should not count.
    """

    questions: list[JudgedQuestion]
    first_pages: Mapping[str, int]


def read_outline_questions(
    paths: Iterable[Path], *, password: str | None = None, on_warning: Callable[[str], object]
) -> OutlineQuestions:
    """A question for each title of the outlines, without its number.

    Args:
        paths: PDFs and folders of them.
        password: Password of encrypted PDFs.
        on_warning: Called with a sentence about each PDF that cannot be used.

    Raises:
        OptionError: No PDF has an outline.
    """
    questions: list[JudgedQuestion] = []
    first_pages: dict[str, int] = {}
    found = find_documents(list(paths), on_error=lambda error: on_warning(str(error)))
    for path in found:
        if document_kind(path) != "pdf":
            continue
        name = document_path(path).as_posix()
        try:
            with open_pdf(path, password=password) as document:
                outline = document.outline()
        except PageError as error:
            on_warning(str(error))
            continue
        if not outline:
            on_warning(f"{path} has no outline, so it gives no questions.")
            continue
        first_pages[name] = min(entry.page_number for entry in outline)
        sections = dict.fromkeys(
            (_NUMBERING.sub("", entry.title).strip(), entry.page_number) for entry in outline
        )
        questions += (
            JudgedQuestion(f"{len(first_pages)}.{number}", title, (RelevantPage(name, page),))
            for number, (title, page) in enumerate(sections, start=1)
            if title
        )
    if not questions:
        raise OptionError(
            "no PDF has an outline to make questions of; write a file of questions, see "
            "docs/evaluation.md."
        )
    return OutlineQuestions(questions, first_pages)
