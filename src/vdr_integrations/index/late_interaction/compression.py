"""How an index stores token vectors, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vdr_integrations.errors import OptionError

__all__ = ["Compression", "Quantization", "VectorFormat"]

VectorFormat = Literal["float16", "float32"]
Quantization = Literal["int8", "binary"]

_MOST_POOLING = 8


@dataclass(frozen=True, slots=True)
class Compression:
    """What is given up for size. The default gives up nothing that a ranking shows.

    Attributes:
        vectors: Numbers that vectors are stored in and scored from. ``float16`` moves a score by
            about 1e-4 of itself and halves the index; ``float32`` keeps what the encoder gave.
        token_pooling: Each this many visual tokens become one, the mean of those most alike (Ward's
            hierarchical clustering); 1 keeps all. ColPali keeps 97.8 % of its quality at 3
            (arXiv 2409.14683); measure your own model. Heat maps need 1.
        quantization: A second, smaller copy that searches look at first; what they find is scored
            again with ``vectors``. It saves memory and time, not disk: ``int8`` adds a byte a
            number, ``binary`` a bit, which suits only models trained for it. Engines build it
            in ``optimize``.
    """

    vectors: VectorFormat = "float16"
    token_pooling: int = 1
    quantization: Quantization | None = None

    def __post_init__(self) -> None:
        """Refuse what is not offered."""
        if self.vectors not in get_args(VectorFormat):
            raise _refused("vectors", self.vectors, " or ".join(get_args(VectorFormat)))
        if self.quantization is not None and self.quantization not in get_args(Quantization):
            allowed = f"{', '.join(get_args(Quantization))} or None"
            raise _refused("quantization", self.quantization, allowed)
        if (
            not isinstance(self.token_pooling, int)  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            or not 1 <= self.token_pooling <= _MOST_POOLING
        ):
            raise _refused("token_pooling", self.token_pooling, f"1 to {_MOST_POOLING}")


def _refused(name: str, found: object, allowed: str) -> OptionError:
    return OptionError(f"compression {name} must be {allowed}, found {found!r}.")
