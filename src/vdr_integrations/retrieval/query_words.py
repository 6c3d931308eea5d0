"""Separates the query tokens that are words of the question from those of the prompt."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from vdr_integrations.encoders.checkpoints import prompts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["QueryWord", "query_words", "tokens_of_word"]

_QUERY = "{query}"
_KNOWN_PROMPTS = (
    prompts.NANO_LATE_QUERY_PROMPT,
    prompts.COLQWEN2_HF_QUERY_PROMPT,
    prompts.COLQWEN2_QUERY_PROMPT,
    prompts.TOMORO_QUERY_PROMPT,
    _QUERY,
)
_SPLIT_CHARACTER = "\N{REPLACEMENT CHARACTER}"


class QueryWord(NamedTuple):
    """A word of a question, made of one token or several.

    Attributes:
        text: The word in the question, without spaces and punctuation around it.
        tokens: Its query tokens, counted from 0; they are consecutive.
    """

    text: str
    tokens: tuple[int, ...]


class _Piece(NamedTuple):
    number: int
    text: str


def query_words(tokens: Sequence[str], *, prompt: str | None = None) -> list[QueryWord]:
    """The words of a question, without prompt, augmentation and punctuation.

    Args:
        tokens: Texts of all query tokens in order, see ``MultiVectorEncoder.query_tokens``; those
            of several questions may follow each other.
        prompt: ``MultiVectorEncoder.query_prompt`` around the question; None looks for a known
            prompt.

    Returns:
        Words in the order of the question. The tokens of a word are joined; in scripts without
        spaces (Chinese, Japanese) each token is a word. Empty if the question has no letters.
    """
    joined = "".join(tokens)
    before, after = _around(joined, prompt)
    asked = _questions(joined, before, after)
    words: list[QueryWord] = []
    for group in _groups(tokens, asked):
        kept = [n for n, piece in enumerate(group) if any(map(_is_letter_or_digit, piece.text))]
        if kept:
            pieces = group[kept[0] : kept[-1] + 1]
            text = "".join(piece.text for piece in pieces)
            words.append(QueryWord(_without_marks(text), tuple(piece.number for piece in pieces)))
    return words


def tokens_of_word(words: Sequence[QueryWord], asked: str) -> list[tuple[int, ...]]:
    """The tokens of each occurrence of a word, ignoring case, accents and punctuation.

    Tokenizers treat these differently: l'uva is one word for some and two for others.

    Args:
        words: Result of :func:`query_words`.
        asked: A word, as in the question or as a tokenizer returns it.

    Returns:
        Empty if the question does not have the word.
    """
    wanted = _spelled(asked)
    spelled = [_spelled(word.text) for word in words]
    found: list[tuple[int, ...]] = []
    for first in range(len(words)):
        joined: list[str] = []
        for last in range(first, len(words)):
            joined += spelled[last]
            if len(joined) >= len(wanted):
                if joined == wanted:
                    found.append(tuple(n for word in words[first : last + 1] for n in word.tokens))
                break
    return found


def _spelled(text: str) -> list[str]:
    """Letters and digits without case and accents, split at all other characters."""
    plain = "".join(
        character
        for character in unicodedata.normalize("NFD", text.casefold())
        if not unicodedata.combining(character)
    )
    return "".join(c if _is_letter_or_digit(c) else " " for c in plain).split()


def _around(joined: str, prompt: str | None) -> tuple[str, str]:
    for known in _KNOWN_PROMPTS if prompt is None else (prompt, _QUERY):
        before, _, after = known.partition(_QUERY)
        fits = joined.startswith(before) and joined.endswith(after)
        if fits and len(joined) >= len(before) + len(after):
            return before, after
    return "", ""


def _questions(joined: str, before: str, after: str) -> list[tuple[int, int]]:
    """Start and end, exclusive, of each question, in characters."""
    found: list[tuple[int, int]] = []
    at, end = len(before), len(joined) - len(after)
    between = after + before
    for question in joined[at:end].split(between) if between else [joined]:
        found.append((at, at + len(question)))
        at += len(question) + len(between)
    return found


def _groups(tokens: Sequence[str], asked: Sequence[tuple[int, int]]) -> Iterator[list[_Piece]]:
    """Groups of tokens of the questions that have no space between them."""
    group: list[_Piece] = []
    at = 0
    for number, token in enumerate(tokens):
        text = "".join(
            token[max(first - at, 0) : max(last - at, 0)] for first, last in asked if last > at
        )
        at += len(token)
        if group and (not text or _is_word_end(group[-1].text, text)):
            yield group
            group = []
        if text:
            group.append(_Piece(number, text))
    if group:
        yield group


def _is_word_end(left: str, right: str) -> bool:
    ends = (left[-1], right[0])
    return any(end.isspace() or unicodedata.east_asian_width(end) in "WF" for end in ends)


def _is_letter_or_digit(character: str) -> bool:
    return character.isalnum() or character == _SPLIT_CHARACTER


def _without_marks(text: str) -> str:
    kept = [n for n, character in enumerate(text) if _is_letter_or_digit(character)]
    return text[kept[0] : kept[-1] + 1]
