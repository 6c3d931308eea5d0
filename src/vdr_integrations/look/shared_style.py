"""The style that the HTML reports and the search page share."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["shared_style"]


def shared_style() -> str:
    """The text of the style sheet."""
    return (files("vdr_integrations.look") / "assets" / "look.css").read_text(encoding="utf-8")
