"""The ``--question-bank`` option: questions by which scores are corrected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

__all__ = ["parse_question_bank"]

_MOST_BYTES = 1 << 20


def parse_question_bank(given: str | None) -> Sequence[str] | Literal["model"] | None:
    """The choice of a question bank: the lines of a file, ``"model"`` if none is given, or None.

    Args:
        given: A file of UTF-8 text, or ``none``.

    Raises:
        OptionError: The file cannot be read, or holds no questions.
    """
    if given is None:
        return "model"
    if given == "none":
        return None
    path = Path(given)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise OptionError(
                f"--question-bank {given}: the file has {path.stat().st_size:,} bytes, and "
                f"{_MOST_BYTES:,} are allowed; some hundred questions are enough."
            )
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        why = "it is not UTF-8 text" if isinstance(error, UnicodeError) else str(error)
        raise OptionError(f"--question-bank {given}: {why}; name a text file, or 'none'.") from None
    questions = [line.strip() for line in text.splitlines() if line.strip()]
    if not questions:
        raise OptionError(f"--question-bank {given}: it holds no questions; write one a line.")
    return questions
