"""Pages and queries that wait for a model take turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

__all__ = ["Turns"]

Waiting = TypeVar("Waiting")


class Turns(Generic[Waiting]):
    """Which kind of work comes next.

    A query takes milliseconds, and thousands of pages may wait. So what is not of the kind that ran
    last goes first: a query waits for the pages that the model works on, and pages wait for one
    batch of queries.
    """

    def __init__(self, kind: Callable[[Waiting], Hashable]) -> None:
        """Take turns between kinds."""
        self._kind = kind
        self._last: Hashable = None

    def in_order(self, waiting: Iterable[Waiting]) -> list[Waiting]:
        """The same, with other kinds than the last one first; each kind keeps its order."""
        return sorted(waiting, key=lambda one: self._kind(one) == self._last)

    def note(self, batch: Sequence[Waiting]) -> None:
        """This batch goes to the model now, if there is anything in it."""
        if batch:
            self._last = self._kind(batch[0])
