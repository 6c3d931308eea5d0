"""The ``--compare`` option: what is changed beside each model or index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.cli.options.compression_option import parse_compression
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from vdr_integrations.index import Compression

__all__ = ["COMPARE_HELP", "Change", "parse_change"]

COMPARE_HELP = (
    "Also measure each model or index with a change: tokens=N (pixel budget, encodes again), "
    "dimension=N (of dense vectors), or words of --compression, such as int8 or int8,pool3 (of "
    "token vectors), or correction=S (strength of the question bank of token vectors; 0: MaxSim "
    "alone). Repeat it for several changes. Only tokens=N encodes the pages again."
)


@dataclass(frozen=True, slots=True)
class Change:
    """What one more system has that its model or index does not.

    Attributes:
        words: As they were given.
        max_visual_tokens: Pixel budget of a page; None: as it is.
        dimension: Numbers of a dense vector; None: as it is.
        compression: Of token vectors; None: as it is.
        correction: Strength of the correction by a question bank; None: as it is.
    """

    words: str
    max_visual_tokens: int | None = None
    dimension: int | None = None
    compression: Compression | None = None
    correction: float | None = None

    def fits(self, *, is_late: bool) -> bool:
        """Whether vectors of this kind can be changed so."""
        if is_late:
            return self.dimension is None
        return self.compression is None and self.correction is None

    @property
    def is_computed(self) -> bool:
        """Whether it is computed from vectors that are there."""
        return self.max_visual_tokens is None


def parse_change(text: str) -> Change:
    """The change that words stand for.

    Raises:
        OptionError: An unknown word, a number below 1, or two words that exclude each other.
    """
    numbers: dict[str, int] = {}
    compression: list[str] = []
    for word in (part.strip() for part in text.split(",")):
        name, equals, value = word.partition("=")
        if not equals:
            compression.append(word)
            continue
        if word == text.strip() and name == "correction":
            return Change(words=word, correction=_strength(text, value))
        if name not in {"tokens", "dimension"} or name in numbers:
            raise OptionError(
                f"--compare {text}: {name!r} is unknown or twice, or must stand alone. "
                f"{COMPARE_HELP}"
            )
        if not value.isdecimal() or int(value) < 1:
            raise OptionError(f"--compare {text}: {name} must be a whole number from 1.")
        numbers[name] = int(value)
    if compression and "dimension" in numbers:
        raise OptionError(
            f"--compare {text}: dimension is for dense vectors and {compression[0]} for token "
            f"vectors; choose one."
        )
    return Change(
        words=",".join(part.strip() for part in text.split(",")),
        max_visual_tokens=numbers.get("tokens"),
        dimension=numbers.get("dimension"),
        compression=parse_compression(",".join(compression)) if compression else None,
    )


def _strength(text: str, value: str) -> float:
    from vdr_integrations.index.question_bank import check_strength  # imports numpy

    try:
        return check_strength(float(value))
    except ValueError:
        raise OptionError(f"--compare {text}: correction must be a number from 0 to 2.") from None
