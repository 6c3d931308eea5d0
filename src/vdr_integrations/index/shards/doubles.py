"""Documents that are in two of several indexes: their pages would be found twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import IndexMismatchError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

__all__ = ["Doubles"]


class Doubles:
    """Looks for them, and remembers where it has looked. Safe to call from any thread."""

    def __init__(self, places: Sequence[Path | str]) -> None:
        """Nothing is looked at yet.

        Args:
            places: Where the indexes are, for messages.
        """
        self._places = places
        self._clean: Sequence[Collection[str]] = ()

    def are_none(self, sources: Sequence[Collection[str]], *, sure: bool) -> bool:
        """Whether no document is in two indexes.

        Args:
            sources: Names of the documents of each index. What was looked at last is known by
                identity, and is not looked at again.
            sure: Raise the error instead of returning False.

        Raises:
            IndexMismatchError: A document is in two indexes.
        """
        clean = self._clean
        if len(clean) == len(sources) and all(map(_is_same, clean, sources)):
            return True
        known: set[str] = set()
        for number, names in enumerate(sources):
            double = known.intersection(names)
            if double:
                if sure:
                    self.refuse(min(double), sources[:number], number)
                return False
            known.update(names)
        self._clean = list(sources)
        return True

    def refuse(self, source: str, before: Sequence[Collection[str]], number: int) -> None:
        """Raise the error of a document.

        Args:
            source: Name of the document.
            before: Names of the documents of the indexes before the second that has it.
            number: Number of that one.

        Raises:
            IndexMismatchError: Always.
        """
        first = next(place for place, names in enumerate(before) if source in names)
        raise IndexMismatchError(
            f"{source} is in index {self._places[first]} and in index {self._places[number]}, so "
            f"its pages would count and be found twice. Search these indexes one by one, or keep "
            f"the document in one of them: vdr rm removes it from the other."
        )


def _is_same(one: object, other: object) -> bool:
    return one is other
