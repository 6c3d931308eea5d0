"""Removes documents from the one of several indexes that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vdr_integrations.index.engine import Engine
    from vdr_integrations.index.records import FileState
    from vdr_integrations.index.shards.joined_reads import JoinedReads
    from vdr_integrations.index.staged_document import DocumentSink

__all__ = ["JoinedWrites", "several_take_none"]


class JoinedWrites:
    """Changes several indexes; see ``Writes``."""

    def __init__(self, parts: Sequence[Engine], reads: JoinedReads) -> None:
        """Change these."""
        self._parts, self._reads = parts, reads

    def begin(self, source: str) -> DocumentSink:
        """See ``Writes``.

        Raises:
            OptionError: Always: nothing says which index shall have the document.
        """
        raise several_take_none([part.path for part in self._parts], source)

    def update_file_state(self, source: str, file: FileState) -> None:
        """See ``Writes``."""
        for part in self._reads.holders(source):
            part.update_file_state(source, file)

    def remove_document(self, source: str) -> bool:
        """See ``Writes``."""
        removed = [part.remove_document(source) for part in self._reads.holders(source)]
        return any(removed)

    def remove_pages(self, page_ids: Sequence[str]) -> int:
        """See ``Writes``."""
        return sum(part.remove_pages(page_ids) for part in self._parts)


def several_take_none(places: Sequence[Path | str], what: str) -> OptionError:
    """The error of documents for several indexes."""
    named = ", ".join(map(str, places))
    return OptionError(
        f"{what} cannot be written to {len(places)} indexes at once ({named}): each document "
        f"belongs to one of them. Name the index that shall hold it, alone; together, they can be "
        f"searched, checked and tidied up, and documents can be removed."
    )
