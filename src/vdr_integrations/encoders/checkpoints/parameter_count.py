"""How many numbers the weights of a checkpoint are, without loading them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["count_parameters"]


def count_parameters(folder: Path) -> int:
    """Count the numbers in the safetensors files of a folder; 0 if it has no such file.

    Only the shapes are read.

    Raises:
        ValueError: A file is not a safetensors file, or is incomplete.
        OSError: A file cannot be read.
    """
    return sum(_parameters(path) for path in sorted(folder.glob("*.safetensors")))


def _parameters(path: Path) -> int:
    try:
        with safe_open(path, framework="np") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  # not a mapping
    except SafetensorError as error:
        raise ValueError(f"{path} is not a complete safetensors file: {error}.") from error
