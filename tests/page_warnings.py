"""Pages whose drawing warns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vdr_integrations.pages.drawing import draw_ahead
from vdr_integrations.retrieval import pages_into_store

if TYPE_CHECKING:
    import pytest

    from vdr_integrations.pages import PdfPage
    from vdr_integrations.pages.drawing.drawn_page import DrawnPage
    from vdr_integrations.types import PixelBudget

__all__ = ["WARNING", "warn_of_pages_with"]

WARNING = "a picture could not be decoded; it is blank in the image."


def warn_of_pages_with(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the drawing of each page that prints a word give ``WARNING``."""
    real = draw_ahead.drawn_page

    def warning(page: PdfPage, budget: PixelBudget) -> DrawnPage:
        drawn = real(page, budget)
        return replace(drawn, warnings=(WARNING,)) if word in drawn.text else drawn

    monkeypatch.setattr(draw_ahead, "drawn_page", warning)
    monkeypatch.setattr(pages_into_store, "drawn_page", warning)
