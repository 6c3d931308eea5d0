"""How many numbers a checkpoint's weights are, without loading them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["count_parameters"]


def count_parameters(folder: Path) -> int:
    """Numbers in the safetensors files of a folder, by their heads; 0 where there are none.

    Raises:
        ValueError: A file that is no safetensors file.
        OSError: One that cannot be read.
    """
    return sum(_parameters(path) for path in sorted(folder.glob("*.safetensors")))


def _parameters(path: Path) -> int:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length < path.stat().st_size:
            raise ValueError(f"{path} is no safetensors file.")
        tensors: dict[str, Any] = json.loads(file.read(length))
    return sum(
        math.prod(tensor["shape"]) for name, tensor in tensors.items() if name != "__metadata__"
    )
