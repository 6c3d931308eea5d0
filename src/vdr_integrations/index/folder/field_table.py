"""Which pages match a filter: a table of the metadata of all pages by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.index.page_filter import Condition

__all__ = ["FieldTable"]


class FieldTable:
    """Values of fields, and the pages that have these values.

    Conditions come from ``page_filter.parse_filter``, fields from ``page_filter.filterable``.
    """

    def __init__(self, pages: Iterable[tuple[int, dict[str, Any]]]) -> None:
        """Make the table from numbers of pages, each with its fields and their lists of values."""
        texts: dict[str, dict[str, list[int]]] = {}
        numbers: dict[str, tuple[list[float], list[int]]] = {}
        for page, fields in pages:
            for key, values in fields.items():
                for value in values:
                    if isinstance(value, str):
                        texts.setdefault(key, {}).setdefault(value, []).append(page)
                    else:
                        found = numbers.setdefault(key, ([], []))
                        found[0].append(float(value))
                        found[1].append(page)
        self._texts = {
            key: {value: np.array(found, np.intp) for value, found in values.items()}
            for key, values in texts.items()
        }
        self._numbers = {
            key: (np.array(values), np.array(found, np.intp))
            for key, (values, found) in numbers.items()
        }

    def fitting(self, condition: Condition) -> list[NDArray[np.intp]]:
        """Numbers of the pages that match; a number may occur twice."""
        key = condition.key.removeprefix("fields.")
        by_text = self._texts.get(key, {})
        found = [by_text[text] for text in condition.texts if text in by_text]
        if key in self._numbers and condition.ranges:
            values, pages = self._numbers[key]
            found += [pages[in_range(values, bounds)] for bounds in condition.ranges]
        return found


def in_range(values: NDArray[Any], bounds: Sequence[tuple[str, float]]) -> NDArray[np.bool_]:
    """Which values lie within the bounds, whose names are gt, gte, lt and lte."""
    fits = np.ones(len(values), np.bool_)
    for name, bound in bounds:
        if name == "gt":
            fits &= values > bound
        elif name == "gte":
            fits &= values >= bound
        elif name == "lt":
            fits &= values < bound
        else:
            fits &= values <= bound
    return fits
