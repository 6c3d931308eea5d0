"""Pages that are kept of unfinished documents of several indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.index.unfinished.unfinished_documents import (
    UnfinishedDocuments,
    UnfinishedPages,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vdr_integrations.index.engine import Engine

__all__ = ["JoinedUnfinished"]


class JoinedUnfinished(UnfinishedDocuments):
    """What is kept for each index. Nothing is added here."""

    def __init__(self, engine: Engine, parts: Sequence[UnfinishedDocuments]) -> None:
        """Look at nothing yet."""
        super().__init__(engine)
        self._parts = parts

    def kept(self, *, read_all: bool = False) -> UnfinishedPages:
        """What is kept for all of them."""
        found = [part.kept(read_all=read_all) for part in self._parts]
        return UnfinishedPages(sum(one.documents for one in found), sum(one.pages for one in found))

    def sources(self) -> list[str]:
        """Names of the documents of which something is kept, sorted."""
        return sorted({source for part in self._parts for source in part.sources()})

    def forget(self, source: str) -> None:
        """Remove what is kept of a document."""
        for part in self._parts:
            part.forget(source)

    def tidy(self, committed: Callable[[], Mapping[str, str]]) -> None:
        """Remove what no run can go on with."""
        for part in self._parts:
            part.tidy(committed)
