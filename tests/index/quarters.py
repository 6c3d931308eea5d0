"""Searches in two stages of indexes with a quarter of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.index.folder import first_stage_writer, maxsim_search

if TYPE_CHECKING:
    import pytest

__all__ = ["search_quarters_in_two_stages"]


def search_quarters_in_two_stages(patch: pytest.MonkeyPatch) -> None:
    """A quarter of the pages is too many to compare all, or makes a codebook or a list file."""
    for module, name in (
        (maxsim_search, "SMALL_INDEX_PAGES"),
        (first_stage_writer, "_FIRST_PAGES"),
        (first_stage_writer, "TAIL_PAGES"),
    ):
        patch.setattr(module, name, getattr(module, name) // 4)
