"""Finds the part of a text that a question is about, and its words there. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from vdr_integrations.agents.untrusted_text import clean
from vdr_integrations.errors import OptionError

__all__ = ["Piece", "excerpt", "pieces_of"]

_WORD = re.compile(r"\w+")
_LONG_WORD = re.compile(r"\w{4,}")
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_SHORTEST_WORD = 3
"""Shorter words ("of", "is") are on every page; they count only if a question has no others."""

_LEAD = 0.2
"""Share of the excerpt before the first word of the question."""


class Piece(NamedTuple):
    """A piece of a text.

    Attributes:
        text: The piece.
        is_marked: Whether it begins with a word of the question.
    """

    text: str
    is_marked: bool


def pieces_of(text: str, question: str) -> list[Piece]:
    """The text in pieces, so that words of the question can be marked, whatever their endings."""
    words = sorted(set(_LONG_WORD.findall(question)), key=len, reverse=True)
    pattern = "|".join(rf"\b{re.escape(word)}\w*" for word in words)
    found: list[Piece] = []
    at = 0
    for match in re.finditer(pattern, text, re.IGNORECASE) if pattern else ():
        found += [Piece(text[at : match.start()], is_marked=False), Piece(match[0], is_marked=True)]
        at = match.end()
    return [piece for piece in (*found, Piece(text[at:], is_marked=False)) if piece.text]


def excerpt(text: str, question: str, *, max_characters: int) -> str:
    """The part of a text with the most different words of a question.

    Args:
        text: Text of a page; it is cleaned here, see ``untrusted_text.clean``.
        question: Its words are searched at the beginnings of words, ignoring case.
        max_characters: Maximum length, the marks of omitted text ("…") included; at least 3.

    Returns:
        The whole text if it is short enough; its beginning if no word is found.

    Raises:
        OptionError: ``max_characters`` below 3.
    """
    if max_characters < 3:
        raise OptionError(f"max_characters must be at least 3, found {max_characters}.")
    text = clean(text)
    if len(text) <= max_characters:
        return text
    room = max_characters - 2 * len(_ELLIPSIS)
    first = _densest(_found(text, question), room)
    start = min(max(0, first - int(room * _LEAD)), len(text) - room)
    start, end = _at_words(text, start, start + room, first=first)
    before = _ELLIPSIS if start else ""
    after = _ELLIPSIS if end < len(text) else ""
    return before + text[start:end].strip() + after


def _found(text: str, question: str) -> list[tuple[int, str]]:
    """Positions in the text where a word of the question begins, with that word."""
    words = {word.casefold() for word in _WORD.findall(question)}
    words = {word for word in words if len(word) >= _SHORTEST_WORD} or words
    lengths = {len(word) for word in words}
    found: list[tuple[int, str]] = []
    for match in _WORD.finditer(text):
        beginnings = {match[0].casefold()[:length] for length in lengths}
        found += [(match.start(), word) for word in beginnings & words]
    return found


def _densest(found: list[tuple[int, str]], room: int) -> int:
    """The first word of the part of ``room`` characters that has the most different words."""
    best, best_words, first = 0, 0, 0
    counts: dict[str, int] = {}
    for position, word in found:
        counts[word] = counts.get(word, 0) + 1
        while position - found[first][0] > room * (1 - _LEAD):
            left = found[first][1]
            counts[left] -= 1
            if not counts[left]:
                del counts[left]
            first += 1
        if len(counts) > best_words:
            best, best_words = found[first][0], len(counts)
    return best


def _at_words(text: str, start: int, end: int, *, first: int) -> tuple[int, int]:
    """The part without incomplete words at its ends; scripts without spaces are cut anywhere.

    The word that begins at ``first`` stays.
    """
    if start and (blank := text.find(" ", start, min(first, start + 30))) >= 0:
        start = blank + 1
    if end < len(text) and (blank := text.rfind(" ", max(first, end - 30), end)) >= 0:
        end = blank
    return start, end
