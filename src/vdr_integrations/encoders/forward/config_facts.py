"""An object of a checkpoint's ``config.json``, read number by number and refused by name."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from vdr_integrations.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ConfigFacts"]

_MOST = defaultdict(lambda: 2**31 - 1, depth=1000, num_hidden_layers=1000)
"""Largest numbers. Each layer is made before its weights are read, so more would take for ever."""


@dataclass(frozen=True, slots=True)
class ConfigFacts:
    """An object of the configuration.

    Every method raises CheckpointError for a value that means nothing, or that asks for something
    that this package does not compute.

    Attributes:
        facts: The object.
        where: How to name it in an error.
    """

    facts: dict[str, Any]
    where: str

    def knows(self, name: str) -> bool:
        """Whether the configuration says anything about it."""
        return name in self.facts

    def value(self, name: str) -> object:
        """What it says; None if it says nothing."""
        return self.facts.get(name)

    def part(self, name: str) -> ConfigFacts:
        """An object inside; empty if there is none."""
        found: Any = {} if self.facts.get(name) is None else self.facts[name]
        if not isinstance(found, dict):
            self.refuse(name, found, "an object")
        return ConfigFacts(found, f"{self.where}, {name}")

    def must_be(self, name: str, *allowed: object) -> None:
        """Refuse any other value; nothing is allowed too."""
        if self.knows(name) and self.facts[name] not in allowed:
            only = " or ".join(repr(one) for one in allowed if one is not None) or "left out"
            self.refuse(name, self.facts[name], only)

    def count(self, name: str, usual: float) -> int:
        """A whole number from 1; ``usual`` if the configuration says nothing."""
        found = self.facts.get(name, usual)
        if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= _MOST[name]:
            self.refuse(name, found, f"a whole number from 1 to {_MOST[name]}")
        return found

    def counts(self, usual: Mapping[str, int]) -> dict[str, int]:
        """Several whole numbers, by name."""
        return {name: self.count(name, one) for name, one in usual.items()}

    def positive(self, name: str, usual: float) -> float:
        """A finite number above 0."""
        found = self.facts.get(name, usual)
        if not isinstance(found, int | float) or isinstance(found, bool):
            self.refuse(name, found, "a number")
        if not (math.isfinite(found) and found > 0):
            self.refuse(name, found, "a finite number above 0")
        return float(found)

    def numbers(self, name: str, usual: tuple[int, ...]) -> tuple[int, ...]:
        """Whole numbers from 0, in any order; the result is sorted."""
        found = self.facts.get(name, usual)
        if not _are_counts(found):
            self.refuse(name, found, "whole numbers from 0")
        return tuple(sorted({*found}))

    def rising_numbers(self, name: str, usual: tuple[int, ...], *, below: int) -> tuple[int, ...]:
        """Whole numbers from 0, each larger than the one before it."""
        found = self.facts.get(name, usual)
        if (
            not _are_counts(found)
            or list(found) != sorted({*found})
            or max(found, default=0) >= below
        ):
            self.refuse(name, found, f"rising whole numbers from 0 to {below - 1}")
        return tuple(found)

    def sections(self, name: str, usual: tuple[int, ...], *, total: int) -> tuple[int, ...]:
        """As many whole numbers as ``usual`` has, whose sum is ``total``."""
        found = self.facts.get(name, usual)
        if not _are_counts(found) or len(found) != len(usual) or sum(found) != total:
            self.refuse(name, found, f"{len(usual)} whole numbers whose sum is {total}")
        return tuple(found)

    def check_widths(
        self, *, width: tuple[str, int], out: tuple[str, int], heads: int, decoder: int
    ) -> None:
        """Refuse a vision tower whose widths do not fit.

        Args:
            width: Name and number of the components of a patch: heads rotate with two axes.
            out: Name and number of the components of a visual token.
            heads: Heads of attention.
            decoder: Components of the decoder's tokens.
        """
        if out[1] != decoder:
            self.refuse(*out, f"{decoder}, as in the decoder")
        if width[1] % (4 * heads):
            self.refuse(*width, f"a multiple of four times {heads} heads")

    def refuse(self, name: str, found: object, allowed: str) -> NoReturn:
        """Raise the error about a value."""
        raise CheckpointError(
            f"{self.where} has {name}={found!r}; it must be {allowed}. Download the checkpoint "
            f"again, or choose another one."
        )


def _are_counts(found: object) -> bool:
    return isinstance(found, list | tuple) and all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in found
    )
