"""What MuPDF's messages mean for a page that it has drawn all the same. Pure.

The messages themselves quote the file, so they are not repeated.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = [
    "BAD_ANNOTATIONS",
    "BAD_PICTURE",
    "ENDS_EARLY",
    "all_damage",
    "damage_in",
    "nothing_left",
]

BAD_PICTURE = "a picture on it could not be decoded; all or a part of the picture is missing"
BAD_ANNOTATIONS = "its annotations and form fields are damaged, and were not drawn"
ENDS_EARLY = "the data of a picture or of its content ends early; the end of it may be missing"
_BAD_FONT = "a font of it could not be read; letters may be missing, or drawn with another font"
_BAD_PART = "a part of its content could not be read; something may be missing"

_HARMLESS = re.compile(
    r"incorrect data check|ignoring color key masking|bogus font|ascent/descent|builtin cmap|"
    r"system cmap|ExtGState resource|ICC|openjpeg warning|jbig2dec warning",
    re.IGNORECASE,
)
"""All of the page is drawn."""
_ENDS_EARLY = re.compile(r"premature end of data in flate", re.IGNORECASE)
"""The end of the data lacks its checksum, or more: nobody knows which."""

# MuPDF has no list of its messages; these are those of damaged files (tests/hostile).
_MEANINGS = (
    (
        re.compile(
            r"padding truncated image|jpeg error|jbig2|openjpeg|\bjpx\b|\bjp2\b|\bjxr\b|\bfax|"
            r"cannot (load|decode|draw) image|\bimage\b",
            re.IGNORECASE,
        ),
        BAD_PICTURE,
    ),
    (
        re.compile(
            r"FT_\w+|embedded font|\bfont\b|\bglyph|\bcmap\b|\btype ?3\b|charproc", re.IGNORECASE
        ),
        _BAD_FONT,
    ),
    (re.compile(r"appearance stream|\bannotation", re.IGNORECASE), BAD_ANNOTATIONS),
    (
        re.compile(
            r"is not a stream|cannot find object|object out of range|not found in xref|"
            r"page may not be correct|premature end|cannot load content|zlib error|flate|"
            r"\blzw|run length|unknown filter|read error|nested too|too deep|recursion|cycle|"
            r"out of range code|unknown keyword|syntax error in content|ignoring error|"
            r"cannot find \w+ resource|limit error|argument error|too many indirections|"
            r"non-page object|page tree load failed",
            re.IGNORECASE,
        ),
        _BAD_PART,
    ),
)
_MOST_MESSAGES = 1000
_MOST_ROWS_OF_BOXES = 8
"""A white page with a grey box has at most 8 kinds of pixel rows, edges included; with one line of
letters it has more."""


def damage_in(messages: Iterable[str]) -> tuple[str, ...]:
    """What is missing on a page, for people to read; each kind of damage once.

    Args:
        messages: What MuPDF said while it drew the page.
    """
    found: dict[str, None] = {}
    for message, _ in zip(messages, range(_MOST_MESSAGES), strict=False):
        if _HARMLESS.search(message):
            continue
        if _ENDS_EARLY.search(message):
            found[ENDS_EARLY] = None
            continue
        for pattern, meaning in _MEANINGS:
            if pattern.search(message):
                found[meaning] = None
                break
    return all_damage(found)


def all_damage(*found: Iterable[str]) -> tuple[str, ...]:
    """Kinds of damage from several looks at a page, each once; one fault is said once."""
    kinds = dict.fromkeys(kind for some in found for kind in some)
    if BAD_PICTURE in kinds or BAD_ANNOTATIONS in kinds:  # they have filters and parts, too
        kinds.pop(_BAD_PART, None)
    if len(kinds) > 1:
        kinds.pop(ENDS_EARLY, None)
    return tuple(kinds)


def nothing_left(
    damage: Collection[str], samples: bytes | memoryview, *, row_bytes: int
) -> str | None:
    """Why a damaged page shows nothing of what was on it; None if it shows something.

    Where a picture could not be decoded, MuPDF may draw a grey or black box. So a page of nothing
    but a few boxes shows nothing then; else it is a page of one colour.

    Args:
        damage: What is missing on it, from :func:`damage_in`.
        samples: Its pixels, RGB, row by row.
        row_bytes: Length of a row.
    """
    if not {*damage} - {ENDS_EARLY}:
        return None  # a blank page, perhaps
    if BAD_PICTURE in damage:
        most = _MOST_ROWS_OF_BOXES
        reason = "its picture could not be decoded, and it shows nothing else"
    else:
        most = 1
        reason = "its content could not be read, and it shows nothing"
    kinds: set[bytes] = set()
    for start in range(0, len(samples), row_bytes):
        kinds.add(bytes(samples[start : start + row_bytes]))
        if len(kinds) > most:
            return None
    row = next(iter(kinds), b"")
    if most == 1 and row != row[:3] * (len(row) // 3):
        return None
    return f"{reason}. Make the PDF again from the original, or leave the page out."
