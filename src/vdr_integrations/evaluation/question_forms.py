"""Reads questions with known pages in each form in which they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.evaluation.beir_folder import is_beir_folder, read_beir_folder
from vdr_integrations.evaluation.outline_questions import read_outline_questions
from vdr_integrations.evaluation.question_lines import read_question_lines
from vdr_integrations.pages.document_kind import document_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from vdr_integrations.evaluation.judged_question import JudgedQuestion

__all__ = ["QuestionSet", "read_questions"]

_LINES = "questions.jsonl"
_DOCUMENTS = "documents"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions, and where their documents are.

    Attributes:
        questions: At least one.
        documents: Files and folders that come with the questions; may be empty.
        first_pages: The first page that counts, 1-based, of documents whose first pages do not.
    """

    questions: Sequence[JudgedQuestion]
    documents: Sequence[Path] = ()
    first_pages: Mapping[str, int] = field(default_factory=dict[str, int])


def read_questions(
    path: Path, *, password: str | None = None, on_warning: Callable[[str], object]
) -> QuestionSet:
    """Read questions.

    - A file of JSON lines, see ``read_question_lines``. A folder ``documents`` beside it comes
      with it.
    - A folder with ``questions.jsonl``, the same.
    - A folder of the BEIR form, see ``read_beir_folder``.
    - A PDF with an outline, or a folder of them, see ``read_outline_questions``.

    Args:
        path: The file or folder.
        password: Password of encrypted PDFs whose outlines are read.
        on_warning: Called with a sentence about what is left out.

    Raises:
        OptionError: There is nothing at the path, or it has none of these forms.
    """
    if not path.exists():
        raise OptionError(f"{path}: there is no such file or folder; give a file of questions.")
    if path.is_dir():
        if (path / _LINES).is_file():
            return _lines(path / _LINES, on_warning)
        if is_beir_folder(path):
            questions = read_beir_folder(path, on_warning=on_warning)
            return QuestionSet(questions, _documents_in(path))
    elif document_kind(path) is None:
        return _lines(path, on_warning)
    made = read_outline_questions([path], password=password, on_warning=on_warning)
    return QuestionSet(made.questions, [path], made.first_pages)


def _lines(path: Path, on_warning: Callable[[str], object]) -> QuestionSet:
    questions = read_question_lines(path, on_warning=on_warning)
    return QuestionSet(questions, _documents_in(path.parent))


def _documents_in(folder: Path) -> list[Path]:
    documents = folder / _DOCUMENTS
    return [documents] if documents.is_dir() else []
