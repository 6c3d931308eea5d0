"""Room for a number of requests at a time."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from vdr_integrations.serve.http_replies import RequestError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Room"]


class Room:
    """Counts requests of a kind, and refuses those for which there is no room.

    Only the event loop of the server may use it.
    """

    def __init__(self, most: int, *, of: str) -> None:
        """Nobody is inside yet.

        Args:
            most: Most requests at a time.
            of: What they are, in the plural, for messages.
        """
        self._most = most
        self._of = of
        self._count = 0

    @contextmanager
    def entered(self) -> Generator[None]:
        """Count a request as long as the block runs.

        Raises:
            RequestError: There is no room.
        """
        if self._count >= self._most:
            raise RequestError.busy(
                f"{self._count} {self._of} are being made, and there is room for {self._most}; "
                f"try again soon."
            )
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
