"""What goes between this process and one that opens files: a line of JSON, and bytes after it.

Nothing is unpickled, so a process that a file has taken over cannot make this one run code.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO, TypeAlias

__all__ = ["PAYLOAD_BYTES", "Message", "read_message", "write_message"]

Message: TypeAlias = dict[str, Any]

PAYLOAD_BYTES = "payload_bytes"
"""Key of a message: how many bytes follow its line."""


def write_message(
    file: BinaryIO, message: Message, payload: bytes | memoryview | None = None
) -> None:
    """Write a message, with the bytes that belong to it.

    Raises:
        OSError: The other process has ended.
    """
    view = None if payload is None else memoryview(payload).cast("B")
    size = {} if view is None else {PAYLOAD_BYTES: len(view)}
    file.write(json.dumps(message | size).encode() + b"\n")
    if view is not None:
        file.write(view)
    file.flush()


def read_message(file: BinaryIO, *, longest_bytes: int) -> Message | None:
    """Read a message without the bytes that follow it; None if the other process has ended.

    Raises:
        ValueError: The line is longer than ``longest_bytes``, or is no object of JSON.
    """
    line = file.readline(longest_bytes + 1)
    if not line.endswith(b"\n"):
        if len(line) > longest_bytes:
            raise ValueError(f"a message is longer than {longest_bytes:,} bytes")
        return None
    message: object = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a message is no object of JSON")  # noqa: TRY004  # wrong content
    return message  # pyright: ignore[reportUnknownVariableType]  # keys of JSON are texts
