"""How an index stores token vectors, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vdr_integrations.errors import OptionError

__all__ = ["Compression", "VectorFormat"]

VectorFormat = Literal["float16", "float32", "int8"]

_MOST_POOLING = 8


@dataclass(frozen=True, slots=True)
class Compression:
    """What is given up for size. The default gives up nothing that a ranking shows.

    Attributes:
        vectors: Numbers that vectors are stored in and scored from. ``float16`` moves a score by
            about 1e-4 of itself and halves the index; ``float32`` keeps what the encoder gave;
            ``int8`` (with a scale a token) halves it once more and moves a score by about 2e-3.
        token_pooling: Each this many visual tokens become one, the mean of those most alike (Ward's
            hierarchical clustering); 1 keeps all. ColPali keeps 97.8 % of its quality at 3
            (arXiv 2409.14683); measure your own model. Heat maps need 1.
    """

    vectors: VectorFormat = "float16"
    token_pooling: int = 1

    def __post_init__(self) -> None:
        """Refuse what is not offered."""
        if self.vectors not in get_args(VectorFormat):
            raise _refused("vectors", self.vectors, ", ".join(get_args(VectorFormat)))
        if (
            not isinstance(self.token_pooling, int)  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            or not 1 <= self.token_pooling <= _MOST_POOLING
        ):
            raise _refused("token_pooling", self.token_pooling, f"1 to {_MOST_POOLING}")


def _refused(name: str, found: object, allowed: str) -> OptionError:
    return OptionError(f"compression {name} must be {allowed}, found {found!r}.")
