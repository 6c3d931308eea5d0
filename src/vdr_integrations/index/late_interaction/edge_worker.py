"""The process that holds a Qdrant Edge store for another; imports little, to start fast."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from typing import IO, Any

from vdr_integrations.errors import VdrError
from vdr_integrations.index.late_interaction.edge_shard import EdgeShard

__all__ = ["receive", "send", "serve"]


def serve() -> None:
    """Answer requests on standard input until it ends; what the other process runs."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not print into the answers
    shard: Any = EdgeShard
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            method, args, options = receive(requests)
            try:
                answer, error = getattr(shard, method)(*args, **options), None
            except VdrError as raised:
                answer, error = None, raised
            if method in {"create", "load"} and error is None:
                shard, answer = answer, None
            send(answers, (answer, error))


def send(pipe: IO[bytes] | None, message: object) -> None:
    """Write a message to the other side."""
    if pipe is None:
        raise EOFError
    pickle.dump(message, pipe, protocol=5)
    pipe.flush()


def receive(pipe: IO[bytes] | None) -> Any:  # noqa: ANN401  # what was sent
    """Wait for a message of the other side; EOFError when it is gone."""
    if pipe is None:
        raise EOFError
    try:
        return pickle.load(pipe)  # noqa: S301  # a pipe between us and our own child
    except pickle.UnpicklingError as error:  # it ended half-way
        raise EOFError from error
