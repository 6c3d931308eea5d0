"""How much a server takes at a time."""

from __future__ import annotations

from dataclasses import dataclass, fields

from vdr_integrations.errors import OptionError

__all__ = ["ServeLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeLimits:
    """Limits of a server.

    Attributes:
        queue_items: Pages that may wait or be encoded at a time, and as many texts; a request above
            that is refused with HTTP 503. A page of 768 visual tokens takes 2 MB meanwhile.
        request_items: Most pages or texts of one request.
        request_bytes: Greatest length of a request's body, unpacked.
        bodies_bytes: Bodies of all requests that are not answered yet, packed and unpacked; a
            request above that is refused with HTTP 503.
        searches: Searches that may run at a time; one above that is refused with HTTP 503.
        hits: Most hits of a search.
        question_characters: Greatest length of a question.
        pictures: Pictures of pages that are drawn at a time; others wait. One takes up to 48 MB.
        waiting_pictures: Pictures that may wait or be drawn; one above that is refused.
    """

    queue_items: int = 512
    request_items: int = 128
    request_bytes: int = 256 * 1024**2
    bodies_bytes: int = 1024**3
    searches: int = 64
    hits: int = 50
    question_characters: int = 2000
    pictures: int = 4
    waiting_pictures: int = 256

    def __post_init__(self) -> None:
        """Refuse limits with which nothing could be done.

        Raises:
            OptionError: A limit below 1, or a queue that has no room for a request.
        """
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise OptionError(f"{field.name} of a server must be at least 1.")
        if self.queue_items < self.request_items:
            raise OptionError(
                f"the queue has room for {self.queue_items} pages, but a request may have "
                f"{self.request_items}; make the queue larger, or requests smaller."
            )
        if self.bodies_bytes < 2 * self.request_bytes:
            raise OptionError(
                f"a request may have {self.request_bytes} bytes, and as many again while it is "
                f"unpacked, but bodies_bytes is {self.bodies_bytes}; make it twice as large."
            )
