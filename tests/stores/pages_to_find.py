"""The pages of the suite, and which of them answers what."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DOCUMENTS", "QUESTIONS", "VISUAL_TOKENS", "Place"]

_FOLDER = Path(__file__).resolve().parents[2] / "demo" / "documents"

DOCUMENTS = (_FOLDER / "library-report.en.pdf", _FOLDER / "wine-report.it.pdf")
"""Two files of five pages each."""

VISUAL_TOKENS = 256
"""A third of the default: nano still finds the pages below, in a third of the time."""

Place = tuple[str, int]
"""File name and page number."""

QUESTIONS: dict[str, Place] = {
    "What share of the budget was spent on salaries and heating?": ("library-report.en.pdf", 3),
    "Quanto costano le bottiglie di spumante?": ("wine-report.it.pdf", 2),
}
"""Questions of demo/questions.json, and the pages with the answers."""
