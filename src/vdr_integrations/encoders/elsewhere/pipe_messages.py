"""What goes between this process and one that holds a model: a line of JSON, and arrays after it.

Nothing is unpickled. A page of 768 visual tokens takes half a millisecond through a pipe; shared
memory takes a third of that, and a model takes tens (``benchmarks/devices.py``).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Message", "Reader", "write_message"]

Message: TypeAlias = dict[str, Any]

_ARRAYS = "arrays"
_BUFFER_BYTES = 2**16
_LONGEST_LINE_BYTES = 2**26


def write_message(descriptor: int, message: Message, arrays: Sequence[NDArray[Any]] = ()) -> None:
    """Write a message and the arrays that belong to it.

    Raises:
        OSError: The other process has ended.
    """
    facts = [[array.dtype.str, array.shape] for array in arrays]
    _write(descriptor, json.dumps(message | {_ARRAYS: facts}).encode() + b"\n")
    for array in arrays:
        if array.size:
            _write(descriptor, np.ascontiguousarray(array).data.cast("B"))


class Reader:
    """Reads messages from a pipe; it does not own the descriptor."""

    def __init__(self, descriptor: int) -> None:
        """Read from this descriptor."""
        self._file: BinaryIO = os.fdopen(descriptor, "rb", _BUFFER_BYTES, closefd=False)

    def read(self) -> tuple[Message, list[NDArray[Any]]] | None:
        """The next message and its arrays; None if the other process has ended.

        Raises:
            ValueError: What was read is no message.
            OSError: The pipe cannot be read.
        """
        line = self._file.readline(_LONGEST_LINE_BYTES)
        if not line.endswith(b"\n"):
            return None
        message: Message = json.loads(line)
        arrays: list[NDArray[Any]] = []
        for dtype, shape in message.pop(_ARRAYS):
            array = np.empty(shape, np.dtype(dtype))
            if not self._fill(array):
                return None
            arrays.append(array)
        return message, arrays

    def _fill(self, array: NDArray[Any]) -> bool:
        """Whether all bytes of the array came."""
        if not array.size:
            return True
        left = array.data.cast("B")
        while left:
            count = self._file.readinto(left)  # pyright: ignore[reportAttributeAccessIssue]
            if not count:
                return False
            left = left[count:]
        return True


def _write(descriptor: int, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
