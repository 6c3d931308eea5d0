"""What the two sides of a Qdrant Edge store say to each other: JSON, and raw numbers behind it.

Nothing that is read here can run code. A message is two lengths, a JSON text, and the bytes of
each array that the text mentions, in its order.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import fields
from typing import IO, Any

import numpy as np

from vdr_integrations import errors
from vdr_integrations.errors import VdrError
from vdr_integrations.index.late_interaction.compression import Compression
from vdr_integrations.index.late_interaction.engine import Point, Recall, Schema
from vdr_integrations.index.late_interaction.filters import Condition, Where

__all__ = ["receive", "send"]

_LENGTH = struct.Struct("<Q")
_CLASSES: dict[str, Any] = {
    kind.__name__: kind for kind in (Compression, Condition, Point, Recall, Schema, Where)
}
_DTYPES = ("float32", "float16")


def send(pipe: IO[bytes] | None, message: object) -> None:
    """Write a message to the other side.

    Args:
        pipe: EOFError where there is none (any more).
        message: Made of None, bool, int, float, str, list, tuple, dict with str keys, float arrays,
            the classes of ``Engine``'s arguments, and errors of this package.
    """
    if pipe is None:
        raise EOFError
    arrays: list[np.ndarray[Any, Any]] = []
    text = json.dumps(_packed(message, arrays)).encode()
    pipe.write(_LENGTH.pack(len(text)))
    pipe.write(text)
    for array in arrays:
        pipe.write(array.tobytes())
    pipe.flush()


def receive(pipe: IO[bytes] | None) -> Any:  # noqa: ANN401  # what was sent
    """Wait for a message of the other side; EOFError when it is gone, or ended half-way."""
    if pipe is None:
        raise EOFError
    (length,) = _LENGTH.unpack(_read(pipe, _LENGTH.size))
    return _unpacked(json.loads(_read(pipe, length)), pipe)


def _read(pipe: IO[bytes], length: int) -> bytes:
    found = pipe.read(length)
    if len(found) < length:
        raise EOFError
    return found


def _packed(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:  # noqa: ANN401
    """``value`` in JSON; whatever JSON has not is a dictionary of one key that says what it is."""
    packed = value
    match value:
        case None | bool() | int() | float() | str():
            pass
        case list():
            packed = [_packed(item, arrays) for item in value]
        case tuple():
            packed = {"tuple": [_packed(item, arrays) for item in value]}
        case dict():
            packed = {"dict": {key: _packed(item, arrays) for key, item in value.items()}}
        case np.ndarray():
            packed = {"array": [_known_dtype(value.dtype.name), list(value.shape)]}
            arrays.append(value)
        case VdrError():
            packed = {"error": [type(value).__name__, str(value)]}
        case _:
            name = type(value).__name__
            if _CLASSES.get(name) is not type(value):
                raise TypeError(f"a {name} does not go to the process of an index")
            parts = (getattr(value, field.name) for field in fields(_CLASSES[name]))
            packed = {name: [_packed(part, arrays) for part in parts]}
    return packed


def _unpacked(value: Any, pipe: IO[bytes]) -> Any:  # noqa: ANN401
    found = value
    match value:
        case list():
            found = [_unpacked(item, pipe) for item in value]
        case {"tuple": items}:
            found = tuple(_unpacked(item, pipe) for item in items)
        case {"dict": items}:
            found = {key: _unpacked(item, pipe) for key, item in items.items()}
        case {"array": [name, shape]}:
            dtype = np.dtype(_known_dtype(name))
            found = np.frombuffer(
                bytearray(_read(pipe, math.prod(shape) * dtype.itemsize)), dtype
            ).reshape(shape)
        case {"error": [name, message]}:
            found = _error(name, message)
        case dict():
            [(name, parts)] = value.items()
            found = _CLASSES[name](*(_unpacked(part, pipe) for part in parts))
        case _:
            pass
    return found


def _known_dtype(name: str) -> str:
    if name not in _DTYPES:
        raise TypeError(f"an array of {name} does not go to the process of an index")
    return name


def _error(name: str, message: str) -> VdrError:
    """An error of this package without its constructor, which may want other arguments."""
    kind: type[VdrError] = getattr(errors, name)
    error = kind.__new__(kind, message)
    error.args = (message,)
    return error
