"""Translates LlamaIndex's metadata filters into filters of the index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from vdr_integrations.errors import OptionError
from vdr_integrations.retrieval.page_metadata import FACT_KEYS, FILE_NAME_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdr_integrations.index.late_interaction_index import PageFilter

__all__ = ["page_filter"]

_BOUNDS = {
    FilterOperator.GT: "gt",
    FilterOperator.GTE: "gte",
    FilterOperator.LT: "lt",
    FilterOperator.LTE: "lte",
}
_ONE = (FilterOperator.EQ, FilterOperator.CONTAINS)
_ONE_OF = (FilterOperator.IN, FilterOperator.ANY)
# Every node has these keys, but an index cannot filter by them: no page would fit.
_SHOWN_ONLY = frozenset(FACT_KEYS) - {"source", FILE_NAME_KEY, "page_number"}


def page_filter(filters: MetadataFilters | None) -> PageFilter | None:
    """The filter of the index that finds the same pages.

    ``source``, ``file_path`` and ``file_name`` name documents, ``page_number`` pages, and other
    keys the caller's own metadata. ``==``, ``in``, ``any``, ``contains``, ``>``, ``>=``, ``<`` and
    ``<=`` are allowed, and all of them must hold; ``or`` joins values of one key. A list in the
    metadata fits if any of its items does, and text is compared as a whole.

    Raises:
        OptionError: What the index cannot do: ``!=``, ``nin``, ``all``, ``is_empty``, text
            matches, ``not``, ``or`` over several keys, two values for one key, and keys that only
            nodes have.
    """
    if filters is None:
        return None
    fields: dict[str, Any] = {}
    for key, wanted in _all_of(filters):
        fields[key] = _merged(key, fields[key], wanted) if key in fields else wanted
    places = {name: fields.pop(name) for name in ("source", "page_number") if name in fields}
    found = {**places, "metadata": fields} if fields else places
    return found or None


def _all_of(filters: MetadataFilters) -> Iterator[tuple[str, Any]]:
    if filters.condition is FilterCondition.NOT:
        raise _refused("the condition 'not'")
    if filters.condition is FilterCondition.OR and len(filters.filters) > 1:
        yield _any_of(filters)
        return
    for one in filters.filters:
        if isinstance(one, MetadataFilters):
            yield from _all_of(one)
        else:
            yield _translated(one)


def _any_of(filters: MetadataFilters) -> tuple[str, list[Any]]:
    keys: set[str] = set()
    values: list[Any] = []
    for one in filters.filters:
        if isinstance(one, MetadataFilters) or one.operator not in (*_ONE, *_ONE_OF):
            raise _refused("the condition 'or' over anything but values of one key")
        key, wanted = _translated(one)
        keys.add(key)
        values += wanted if isinstance(wanted, list) else [wanted]
    if len(keys) > 1:
        raise _refused(f"the condition 'or' over several keys ({', '.join(sorted(keys))})")
    return keys.pop(), values


def _translated(one: MetadataFilter) -> tuple[str, Any]:
    if one.key in _SHOWN_ONLY:
        raise _refused(f"the key {one.key!r}")
    is_list = isinstance(one.value, list)
    if one.operator in _BOUNDS and not is_list and one.value is not None:
        return one.key, {_BOUNDS[one.operator]: one.value}
    if one.operator in _ONE and not is_list and one.value is not None:
        return one.key, one.value
    if one.operator in _ONE_OF and is_list:
        return one.key, one.value
    kind = "none" if one.value is None else type(one.value).__name__
    raise _refused(f"{one.key!r} with the operator {one.operator.value!r} and a value of {kind}")


def _merged(key: str, first: object, second: object) -> object:
    if isinstance(first, dict) and isinstance(second, dict) and not first.keys() & second.keys():
        return {**first, **second}
    if first == second:
        return first
    raise _refused(f"two values for the key {key!r}")


def _refused(found: str) -> OptionError:
    return OptionError(
        f"filters of a late-interaction index do not support {found}. Allowed are source, "
        f"file_path, file_name, page_number and metadata of your own, with ==, in, any, contains, "
        f">, >=, < and <=, all of which must hold, and 'or' over values of one key."
    )
