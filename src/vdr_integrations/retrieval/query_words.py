"""Which query tokens are the words of the question, and which belong to the prompt."""

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
    _QUERY,
)
_SPLIT_CHARACTER = "\N{REPLACEMENT CHARACTER}"


class QueryWord(NamedTuple):
    """A word of a question, in one piece or several.

    Attributes:
        text: As it was asked, without spaces and punctuation around it.
        tokens: Its query tokens, counted from 0; one after the other.
    """

    text: str
    tokens: tuple[int, ...]


class _Piece(NamedTuple):
    number: int
    text: str


def query_words(tokens: Sequence[str], *, prompt: str | None = None) -> list[QueryWord]:
    """The words among the tokens of a question: no prompt, no augmentation, no punctuation.

    Args:
        tokens: Texts of all query tokens in order, see ``MultiVectorEncoder.query_tokens``; those
            of several questions may follow each other.
        prompt: ``Checkpoint.query_prompt`` that the question was put into; found among the known
            ones when left out.

    Returns:
        In the order of the question. Pieces of a word are one word; characters of scripts without
        spaces (Chinese, Japanese) are words by token. None where the question has no letters.
    """
    joined = "".join(tokens)
    before, after = _around(joined, prompt)
    asked = _questions(joined, before, after)
    words: list[QueryWord] = []
    for group in _groups(tokens, asked):
        said = [n for n, piece in enumerate(group) if any(map(_is_said, piece.text))]
        if said:
            pieces = group[said[0] : said[-1] + 1]
            text = "".join(piece.text for piece in pieces)
            words.append(QueryWord(_bare(text), tuple(piece.number for piece in pieces)))
    return words


def tokens_of_word(words: Sequence[QueryWord], asked: str) -> list[tuple[int, ...]]:
    """The tokens of a word wherever a question has it, blind to case, accents and marks.

    Tokenizers differ in what they keep of these: l'uva is one word to some and two to others.

    Args:
        words: Of :func:`query_words`.
        asked: A word, as it was asked or as a tokenizer gives it.

    Returns:
        None where the question does not have it.
    """
    wanted = _spelled(asked)
    spelled = [_spelled(word.text) for word in words]
    found: list[tuple[int, ...]] = []
    for first in range(len(words)):
        said: list[str] = []
        for last in range(first, len(words)):
            said += spelled[last]
            if len(said) >= len(wanted):
                if said == wanted:
                    found.append(tuple(n for word in words[first : last + 1] for n in word.tokens))
                break
    return found


def _spelled(text: str) -> list[str]:
    """Letters and digits without case and accents, cut where there are others."""
    plain = "".join(
        character
        for character in unicodedata.normalize("NFD", text.casefold())
        if not unicodedata.combining(character)
    )
    return "".join(c if _is_said(c) else " " for c in plain).split()


def _around(joined: str, prompt: str | None) -> tuple[str, str]:
    for known in _KNOWN_PROMPTS if prompt is None else (prompt, _QUERY):
        before, _, after = known.partition(_QUERY)
        fits = joined.startswith(before) and joined.endswith(after)
        if fits and len(joined) >= len(before) + len(after):
            return before, after
    return "", ""


def _questions(joined: str, before: str, after: str) -> list[tuple[int, int]]:
    """First and last character, exclusive, of each question."""
    found: list[tuple[int, int]] = []
    at, end = len(before), len(joined) - len(after)
    between = after + before
    for question in joined[at:end].split(between) if between else [joined]:
        found.append((at, at + len(question)))
        at += len(question) + len(between)
    return found


def _groups(tokens: Sequence[str], asked: Sequence[tuple[int, int]]) -> Iterator[list[_Piece]]:
    """Tokens of the questions that hang together without a space."""
    group: list[_Piece] = []
    at = 0
    for number, token in enumerate(tokens):
        text = "".join(
            token[max(first - at, 0) : max(last - at, 0)] for first, last in asked if last > at
        )
        at += len(token)
        if group and (not text or _is_parted(group[-1].text, text)):
            yield group
            group = []
        if text:
            group.append(_Piece(number, text))
    if group:
        yield group


def _is_parted(left: str, right: str) -> bool:
    ends = (left[-1], right[0])
    return any(end.isspace() or unicodedata.east_asian_width(end) in "WF" for end in ends)


def _is_said(character: str) -> bool:
    return character.isalnum() or character == _SPLIT_CHARACTER


def _bare(text: str) -> str:
    said = [n for n, character in enumerate(text) if _is_said(character)]
    return text[said[0] : said[-1] + 1]
