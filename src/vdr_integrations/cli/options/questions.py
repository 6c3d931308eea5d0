"""The question argument: one question, or ``-`` for questions on stdin, one per line."""

from __future__ import annotations

import sys

from vdr_integrations.cli.terminal.clean_text import is_utf8
from vdr_integrations.errors import OptionError

__all__ = ["STDIN", "asked_questions"]

STDIN = "-"


def asked_questions(question: str) -> list[str]:
    """The question, or with ``-`` the lines of stdin that are not blank.

    Raises:
        OptionError: There is no question, or one is not UTF-8 text.
    """
    lines = [question]
    if question == STDIN:
        try:
            lines = sys.stdin.read().splitlines()
        except UnicodeDecodeError as error:
            raise OptionError(f"stdin is not {error.encoding} text; convert it first.") from None
    questions = [line for line in lines if line.strip()]
    if not questions:
        raise OptionError("the question is empty; ask in plain words.")
    for number, line in enumerate(questions, start=1):
        if not is_utf8(line):
            raise OptionError(f"question {number} is not UTF-8 text; convert it first.")
    return questions
