"""How an index stores token vectors, and how much quality that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vdr_integrations.errors import OptionError

__all__ = ["Compression", "VectorFormat"]

VectorFormat = Literal["float16", "float32", "int8"]

_MOST_POOLING = 8


@dataclass(frozen=True, slots=True)
class Compression:
    """How much accuracy to trade for a smaller index. The default does not change rankings.

    Attributes:
        vectors: Number format in which vectors are stored and scored. ``float16`` changes a score
            by about 1e-4 of its value and halves the index; ``float32`` stores what the encoder
            returned; ``int8`` (with one scale per token) halves the index once more and changes a
            score by about 2e-3 of its value.
        token_pooling: Number of visual tokens that are merged into one, the mean of the most
            similar ones (Ward's hierarchical clustering); 1 keeps all. ColPali keeps 97.8 % of its
            quality at 3 (arXiv 2409.14683); measure your own model. A heat map then encodes the
            page again.
    """

    vectors: VectorFormat = "float16"
    token_pooling: int = 1

    def __post_init__(self) -> None:
        """Refuse values that are not supported."""
        if self.vectors not in get_args(VectorFormat):
            raise _refused("vectors", self.vectors, ", ".join(get_args(VectorFormat)))
        if (
            not isinstance(self.token_pooling, int)  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            or not 1 <= self.token_pooling <= _MOST_POOLING
        ):
            raise _refused("token_pooling", self.token_pooling, f"1 to {_MOST_POOLING}")


def _refused(name: str, found: object, allowed: str) -> OptionError:
    return OptionError(f"compression {name} must be {allowed}, found {found!r}.")
