"""Hybrid search: the words of a question beside its vectors."""

from __future__ import annotations

from dataclasses import dataclass

from vdr_integrations.errors import OptionError
from vdr_integrations.index.arguments import utf8

__all__ = ["Hybrid", "HybridQuery", "checked_hybrid", "hybrid_weights"]

_MOST_WEIGHT = 1_000_000
"""Beyond it, one part decides alone, and scores of float32 leave no room for the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hybrid:
    """How the scores of pictures and of words are added up.

    The score of a page with a text layer is ``z(picture) + text_weight * z(BM25)``, and of a page
    without one ``picture_weight * z(picture)``, where ``z`` is the distance from the mean of all
    pages that are searched, in standard deviations. BM25 scores have a long tail: the best page is
    far more deviations above the mean than the best picture is. So pages without text need a
    larger weight to be found among others.

    Both defaults were chosen on 153 questions about 22 real documents (docs/evaluation.md).

    Attributes:
        text_weight: Weight of the words, above 0 and at most 1,000,000.
        picture_weight: Weight of the picture of a page without a text layer, above 0 and at most
            1,000,000.
    """

    text_weight: float = 1.25
    picture_weight: float = 2.9

    def __post_init__(self) -> None:
        """Refuse weights that are not allowed."""
        for name in ("text_weight", "picture_weight"):
            found = getattr(self, name)
            if (
                isinstance(found, bool)
                or not isinstance(found, int | float)
                or not 0.0 < found <= _MOST_WEIGHT
            ):
                raise OptionError(
                    f"{name} of a hybrid search must be a number above 0 and at most "
                    f"{_MOST_WEIGHT:,}, found {found!r}. To search without words, leave hybrid out."
                )


@dataclass(frozen=True, slots=True)
class HybridQuery:
    """The text part of a hybrid search.

    Attributes:
        text: The question in words.
        weights: How scores are added up.
    """

    text: str
    weights: Hybrid = Hybrid()

    def __post_init__(self) -> None:
        """Refuse what is no text, and weights that are no ``Hybrid``."""
        utf8("the question of a hybrid search", self.text)
        if not isinstance(self.weights, Hybrid):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise OptionError(
                f"weights of a hybrid search must be a Hybrid, found {self.weights!r}."
            )


def hybrid_weights(found: bool | Hybrid) -> Hybrid | None:  # noqa: FBT001  # the option's value
    """What the option ``hybrid`` of a search says; None if words do not count.

    Raises:
        OptionError: It is something else.
    """
    if isinstance(found, Hybrid):
        return found
    if not isinstance(found, bool):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        raise OptionError(f"hybrid must be True, False or a Hybrid with weights, found {found!r}.")
    return Hybrid() if found else None


def checked_hybrid(found: HybridQuery | None) -> HybridQuery | None:
    """The text part of a search in an index, or None.

    Raises:
        OptionError: Something else.
    """
    if found is None or isinstance(found, HybridQuery):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        return found
    raise OptionError(
        f"hybrid must be a HybridQuery with the words of the question, or None, found {found!r}. "
        f"An index knows only the vectors of a question; PageSearcher.search takes hybrid=True."
    )
