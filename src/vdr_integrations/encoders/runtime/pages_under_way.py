"""Pages that a model works on, while the one who sent them does something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

__all__ = ["PagesUnderWay"]

Vectors = TypeVar("Vectors")
Other = TypeVar("Other")


class PagesUnderWay(Generic[Vectors]):
    """Vectors that are being computed."""

    def __init__(
        self,
        rows: Future[list[Any]],
        *,
        finish: Callable[[list[Any]], Vectors],
        stop: Callable[[], object] = lambda: None,
    ) -> None:
        """Follow them.

        Args:
            rows: What the model returns.
            finish: Checks and normalises it.
            stop: Starts no more of it; called by :meth:`cancel`.
        """
        self._rows = rows
        self._finish = finish
        self._stop = stop

    @property
    def is_done(self) -> bool:
        """Whether :meth:`vectors` need not wait."""
        return self._rows.done()

    def vectors(self) -> Vectors:
        """Wait for the vectors.

        Raises:
            EncodingError: See ``encode_pages``.
        """
        return self._finish(self._rows.result())

    def then(self, make: Callable[[Vectors], Other]) -> PagesUnderWay[Other]:
        """The same work; its vectors are what ``make`` makes of these."""
        return PagesUnderWay(
            self._rows, finish=lambda rows: make(self._finish(rows)), stop=self._stop
        )

    def cancel(self) -> None:
        """Take what has not begun away from the model: nobody waits for it."""
        self._rows.cancel()
        self._stop()
