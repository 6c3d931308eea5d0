"""How much a server takes at a time."""

from __future__ import annotations

from dataclasses import dataclass

from vdr_integrations.errors import OptionError

__all__ = ["ServeLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeLimits:
    """Limits of a server.

    Attributes:
        queue_items: Pages and texts that may wait or be encoded at a time; a request above that is
            refused with HTTP 503. A page of 768 visual tokens takes 2 MB of memory meanwhile.
        request_items: Most pages or texts of one request.
        request_bytes: Greatest length of a request's body, unpacked.
        bodies_bytes: Bodies of all requests that are not answered yet, packed and unpacked; a
            request above that is refused with HTTP 503.
    """

    queue_items: int = 512
    request_items: int = 128
    request_bytes: int = 256 * 1024**2
    bodies_bytes: int = 1024**3

    def __post_init__(self) -> None:
        """Refuse limits with which nothing could be done.

        Raises:
            OptionError: A limit below 1, or a queue that has no room for a request.
        """
        least = min(self.queue_items, self.request_items, self.request_bytes, self.bodies_bytes)
        if least < 1:
            raise OptionError(f"the limits of a server must be at least 1, found {least}.")
        if self.queue_items < self.request_items:
            raise OptionError(
                f"the queue has room for {self.queue_items} pages and texts, but a request may "
                f"have {self.request_items}; make the queue larger, or requests smaller."
            )
        if self.bodies_bytes < 2 * self.request_bytes:
            raise OptionError(
                f"a request may have {self.request_bytes} bytes, and as many again while it is "
                f"unpacked, but bodies_bytes is {self.bodies_bytes}; make it twice as large."
            )
