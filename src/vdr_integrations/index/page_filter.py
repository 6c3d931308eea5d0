"""Which pages a search may find: a small dictionary, checked before an engine uses it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from vdr_integrations.errors import OptionError
from vdr_integrations.index.arguments import utf8
from vdr_integrations.index.document_name import file_name_of

__all__ = ["Condition", "PageFilter", "Where", "filterable", "parse_filter"]

PageFilter: TypeAlias = Mapping[str, Any]
"""``{"source": ..., "file_name": ..., "page_number": ..., "metadata": {key: ...}}``: all given keys
must match.
A value matches if it is equal; a list matches if one of its items is equal; bounds, as in ``{"gte":
2020, "lt": 2024}``, match numbers by gt, gte, lt and lte. Metadata that is a list matches if one of
its items matches.
"""

_BOUNDS = ("gt", "gte", "lt", "lte")
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_EXACT = 2**53
"""Engines compare numbers in float64, which holds integers up to here exactly."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What one field of a page must match: one of the texts or one of the ranges.

    Attributes:
        key: Path in the payload.
        texts: Strings, of which one must be equal.
        ranges: Bounds by name, of which one set must hold the number.
    """

    key: str
    texts: tuple[str, ...] = ()
    ranges: tuple[tuple[tuple[str, float], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Where:
    """Groups of conditions. Of each group, at least one condition must match."""

    groups: tuple[tuple[Condition, ...], ...] = ()

    @classmethod
    def equal(cls, **fields: str) -> Where:
        """Match pages whose payload fields have these values."""
        return cls(tuple((Condition(key, texts=(value,)),) for key, value in fields.items()))

    @classmethod
    def any_of(cls, key: str, texts: Sequence[str]) -> Where:
        """Match pages whose payload field has one of these values."""
        return cls(((Condition(key, texts=tuple(texts)),),))

    def __and__(self, other: Where) -> Where:
        """Match pages that match both."""
        return Where(self.groups + other.groups)


def parse_filter(given: PageFilter | None) -> Where:
    """The conditions of a filter; None has no conditions.

    Raises:
        OptionError: The filter does not have the form of :data:`PageFilter`.
    """
    if given is None:
        return Where()
    groups: list[tuple[Condition, ...]] = []
    for key, value in _mapping("filter", given).items():
        if key == "metadata":
            groups += [
                _metadata_group(name, wanted)
                for name, wanted in _mapping("filter 'metadata'", value).items()
            ]
        elif key == "file_name":
            groups.append(_metadata_group(key, value))
        elif key == "source":
            groups.append((_text_condition(key, value),))
        elif key == "page_number":
            groups.append((_number_condition(key, value),))
        else:
            raise OptionError(
                f"a filter may have source, file_name, page_number and metadata, found {key!r}; "
                f'write {{"metadata": {{{key!r}: ...}}}} for a field of your own.'
            )
    return Where(tuple(groups))


def filterable(metadata: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """What engines filter by: strings, numbers and booleans of the metadata, under safe keys.

    ``file_name`` and ``file_path`` are those of the document, if the metadata has none. Booleans
    are 0 and 1 under keys of their own, because engines would take them for numbers.
    """
    fields: dict[str, Any] = {}
    names = {"file_name": file_name_of(source), "file_path": source}
    for key, value in {**names, **metadata}.items():
        items = value if isinstance(value, list) else [value]
        texts = [item for item in items if isinstance(item, str)]
        truths = [int(item) for item in items if isinstance(item, bool)]
        numbers = [
            item
            for item in items
            if isinstance(item, int | float) and not isinstance(item, bool) and _is_exact(item)
        ]
        for kind, found in (("text", texts), ("number", numbers), ("truth", truths)):
            if found:
                fields[_safe(kind, key)] = found
    return fields


def _metadata_group(name: str, wanted: object) -> tuple[Condition, ...]:
    items = wanted if isinstance(wanted, list | tuple) else [wanted]
    name = utf8("a metadata key", name)
    truths = [item for item in items if isinstance(item, bool)]
    texts = [utf8(f"metadata {name!r}", item) for item in items if isinstance(item, str)]
    rest = [item for item in items if not isinstance(item, bool | str)]
    subject = f"metadata {name!r}"
    conditions: list[Condition] = []
    if texts:
        conditions.append(Condition(f"fields.{_safe('text', name)}", texts=tuple(texts)))
    if truths:
        ranges = tuple(_equal(truth) for truth in truths)
        conditions.append(Condition(f"fields.{_safe('truth', name)}", ranges=ranges))
    if rest:
        bounds = isinstance(wanted, Mapping)
        ranges = (_bounds(subject, wanted),) if bounds else tuple(_number(subject, n) for n in rest)
        conditions.append(Condition(f"fields.{_safe('number', name)}", ranges=ranges))
    if not conditions:
        raise _refused(subject, wanted)
    return tuple(conditions)


def _text_condition(key: str, wanted: object) -> Condition:
    items = wanted if isinstance(wanted, list | tuple) else [wanted]
    texts = tuple(utf8(f"filter {key!r}", item) for item in items if isinstance(item, str))
    if not texts or len(texts) < len(items):
        raise _refused(key, wanted)
    return Condition(key, texts=texts)


def _number_condition(key: str, wanted: object) -> Condition:
    if isinstance(wanted, Mapping):
        return Condition(key, ranges=(_bounds(key, wanted),))
    items = wanted if isinstance(wanted, list | tuple) else [wanted]
    if not items:
        raise _refused(key, wanted)
    return Condition(key, ranges=tuple(_number(key, item) for item in items))


def _bounds(subject: str, wanted: object) -> tuple[tuple[str, float], ...]:
    given = _mapping(subject, wanted)
    if not given or not set(given) <= set(_BOUNDS):
        raise _refused(subject, wanted)
    return tuple((name, _number(subject, given[name])[0][1]) for name in _BOUNDS if name in given)


def _number(subject: str, wanted: object) -> tuple[tuple[str, float], ...]:
    if isinstance(wanted, np.integer | np.floating):
        wanted = wanted.item()
    if isinstance(wanted, bool) or not isinstance(wanted, int | float) or not _is_exact(wanted):
        raise _refused(subject, wanted)
    return _equal(wanted)


def _equal(number: float) -> tuple[tuple[str, float], ...]:
    return (("gte", float(number)), ("lte", float(number)))


def _is_exact(number: float) -> bool:
    return abs(number) <= _EXACT if isinstance(number, int) else math.isfinite(number)


def _safe(kind: str, key: str) -> str:
    # Engines read dots, quotes and brackets in keys as paths.
    plain = _PLAIN_KEY.fullmatch(key)
    return f"{kind}_{key}" if plain else f"{kind}__{key.encode().hex()}"


def _mapping(subject: str, found: object) -> Mapping[str, Any]:
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise _refused(subject, found)
    return found


def _refused(subject: str, found: object) -> OptionError:
    try:
        shown = json.dumps(found, default=lambda item: type(item).__name__)[:100]
    except (TypeError, ValueError, RecursionError):
        shown = type(found).__name__
    return OptionError(
        f"{subject}: {shown} is not a filter; give a string, number or boolean to be equal to, a "
        f'list of those, or bounds like {{"gte": 1, "lt": 9}} for numbers (integers up to 2**53).'
    )
