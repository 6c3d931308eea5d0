"""What is used if the caller says nothing, in every framework and command. Imports nothing."""

__all__ = [
    "DEFAULT_DENSE_MODEL",
    "DEFAULT_HITS",
    "DEFAULT_KEEP_HOURS",
    "DEFAULT_LATE_MODEL",
    "DEFAULT_VISUAL_TOKENS",
]

DEFAULT_HITS = 5
"""Pages that a search finds."""

DEFAULT_KEEP_HOURS = 24.0
"""Age below which no page is removed from a page store: documents are read and indexed on one
day."""

DEFAULT_DENSE_MODEL = "llamaindex/vdr-2b-multi-v1"
"""Model of one vector a page."""

DEFAULT_LATE_MODEL = "vidore/colqwen2-v1.0"
"""Model of one vector a token."""

DEFAULT_VISUAL_TOKENS = 768
"""Pixel budget of a page; the vdr-2b-multi-v1 card recommends it."""
