"""The process that holds a Qdrant Edge store for another; imports little, to start fast."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from vdr_integrations.errors import VdrError
from vdr_integrations.index.late_interaction.edge_messages import receive, send
from vdr_integrations.index.late_interaction.edge_shard import EdgeShard

__all__ = ["serve"]


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
