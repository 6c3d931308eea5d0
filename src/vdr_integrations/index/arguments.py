"""Checks of arguments before any store sees them: a caller's mistake harms nobody else."""

from __future__ import annotations

import json
import operator
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vdr_integrations.encoders.preprocessing.text_check import check_text
from vdr_integrations.errors import InvalidVectorError, OptionError
from vdr_integrations.index.scoring.maxsim import check_matrix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "check_unit_rows",
    "clean_text",
    "index_folder",
    "json_metadata",
    "listed_ids",
    "utf8",
    "whole_number",
]

_MOST = 2**31 - 1
"""Largest number that callers may give: more than any index has, and every store can hold it."""
_NORM_TOLERANCE = 1e-3
_URL = re.compile(r"\s*([a-z][a-z0-9+._-]+):[/\\]", re.ASCII | re.IGNORECASE)
"""A Path has joined the slashes; a drive of Windows has one letter."""


def index_folder(given: str | Path) -> Path:
    """The folder that a caller names.

    Raises:
        OptionError: A URL. Most of it is not shown, because it may hold a password.
    """
    found = _URL.match(str(given))
    if found is None:
        return Path(given)
    raise OptionError(
        f"an index is a folder, or a collection of a Qdrant server, found {found[1]}://... Name a "
        f"folder; give QdrantServer(collection=..., url=...) for a collection. (For a folder of "
        f"that name, write ./ before it.)"
    )


def whole_number(name: str, found: object, *, least: int) -> int:
    """The argument as an integer; integers of Python and numpy are accepted.

    Raises:
        OptionError: Not an integer, or out of range; the message calls it ``name``.
    """
    refused = OptionError(
        f"{name} must be a whole number from {least} to {_MOST}, found {_shown(found)}."
    )
    if isinstance(found, bool | np.bool_):
        raise refused
    try:
        number = operator.index(found)  # pyright: ignore[reportArgumentType]  # untyped callers
    except TypeError:
        raise refused from None
    if not least <= number <= _MOST:
        raise refused
    return number


def utf8(subject: str, found: str) -> str:
    """The text, if every store can hold it.

    Raises:
        OptionError: Not a string, or a string with half a surrogate pair.
    """
    check_text(found, subject=subject)
    return found


def clean_text(text: str) -> str:
    """The text with "?" in place of half surrogate pairs, which text layers of PDFs may hold."""
    return text.encode(errors="replace").decode()


def listed_ids(page_ids: Sequence[str]) -> list[str]:
    """Page ids without duplicates, in the given order.

    Raises:
        OptionError: One id instead of a list, or an id that is not a string.
    """
    if isinstance(page_ids, str):
        raise OptionError("page ids must be given in a list; for one page write [page_id].")
    return list(dict.fromkeys(utf8("a page id", page_id) for page_id in page_ids))


def json_metadata(subject: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of the caller's metadata.

    Raises:
        OptionError: A value that JSON cannot hold.
    """
    found = {} if given is None else dict(given)
    try:
        text = json.dumps(found, allow_nan=False, ensure_ascii=False)
        copy = json.loads(text)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"{subject}: metadata must be JSON, {error}.") from error
    if copy.keys() != found.keys():
        raise OptionError(f"{subject}: metadata keys must be strings, found {list(found)!r}.")
    return copy


def check_unit_rows(subject: str, matrix: NDArray[np.float32], *, dimension: int) -> None:
    """Refuse a matrix whose rows are not of length 1.

    Raises:
        OptionError: A wrong shape or dtype.
        InvalidVectorError: No rows, NaN, infinity or another length.
    """
    check_matrix(subject, matrix, dimension=dimension)
    if matrix.dtype != np.float32:
        raise OptionError(f"{subject}: vectors must be float32, found {matrix.dtype}.")
    # Sums of squares in float32 are good to 1e-6: far finer than the tolerance.
    lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= _NORM_TOLERANCE))
    if wrong.size:
        raise InvalidVectorError(
            f"{subject}: the vector in row {wrong[0]} has length {lengths[wrong[0]]:g}; "
            f"vectors must have length 1."
        )


def _shown(found: object) -> str:
    return f"{type(found).__name__} {str(found)[:40]}"
