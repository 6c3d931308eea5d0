"""An encoding actor as a device: what is sent goes through Ray's object store."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import VdrError
from vdr_integrations.ray_jobs.cluster import ray_module

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from vdr_integrations.encoders.elsewhere.device_process import ItemResult
    from vdr_integrations.encoders.preprocessing.prepared import Prepared
    from vdr_integrations.ray_jobs.encoding_actor import HostedModel

__all__ = ["ActorDevice"]


class ActorDevice:
    """One model of one actor, for a ``DeviceDealer``; the actor outlives this object.

    Attributes:
        device: Its name in messages.
        actor: The actor.
        number: Number of the model.
    """

    process_id = 0

    def __init__(self, actor: Any, number: int, *, name: str, expected: HostedModel) -> None:  # noqa: ANN401  # a handle of Ray
        """Send nothing yet."""
        self.device = name
        self.actor = actor
        self.number = number
        self._expected = expected
        self._replies: SimpleQueue[tuple[int, Future[Any]] | None] = SimpleQueue()
        self._why = "it was not needed any more"

    def send(self, number: int, items: Sequence[Prepared], *, budget: int) -> None:
        """See ``ModelDevice``. Pages of more than 100 kB are in shared memory on one machine."""
        sent = self.actor.encode.remote(self.number, self._expected, list(items), budget)
        reply: Future[Any] = sent.future()
        reply.add_done_callback(lambda done: self._replies.put((number, done)))

    def results(self) -> tuple[int, list[ItemResult]] | None:
        """See ``ModelDevice``."""
        got = self._replies.get()
        if got is None:
            return None
        number, reply = got
        try:
            found: list[ItemResult] | VdrError = reply.result()
        except ray_module().exceptions.RayError as error:
            self._why = _first_line(error)
            return None
        if isinstance(found, VdrError):
            self._why = str(found).rstrip(".")
            return None
        return number, found

    def kill(self) -> None:
        """See ``ModelDevice``: the actor works on for others."""
        self._replies.put(None)

    def wait(self) -> None:
        """See ``ModelDevice``: there is nothing to wait for."""

    def why_ended(self) -> str:
        """See ``ModelDevice``."""
        return self._why

    def close_requests(self) -> None:
        """See ``ModelDevice``."""

    def close_replies(self) -> None:
        """See ``ModelDevice``."""

    def forget(self) -> None:
        """See ``ModelDevice``."""


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(".: ")
