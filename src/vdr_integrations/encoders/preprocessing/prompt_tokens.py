"""Prompts as token ids, with the text of a query kept apart from the prompt around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from vdr_integrations.encoders.checkpoints.prompts import IMAGE_PLACEHOLDER

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.description import Checkpoint

__all__ = ["PromptTokens", "TokenizedPrompts"]

_SPECIAL_OPENING = "<|"


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """Token ids on either side of the image.

    Attributes:
        before: Ids up to and including ``<|vision_start|>``.
        after: Ids from ``<|vision_end|>`` to the last one, whose hidden state is the vector.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]


class TokenizedPrompts:
    """The two prompts of a checkpoint, as ids of its tokenizer.

    A query comes from a user: ``<|image_pad|>`` or ``<|endoftext|>`` in it are plain text, never
    special tokens. Every other text gets the same ids as if the whole prompt were tokenized at
    once. Safe to call from several threads.
    """

    def __init__(self, checkpoint: Checkpoint, tokenizer: Tokenizer) -> None:
        self._trusted = tokenizer
        self._untrusted = Tokenizer.from_str(tokenizer.to_str())
        self._untrusted.encode_special_tokens = True
        before, after = _added(tokenizer)
        page = self._around_image(checkpoint.page_prompt)
        self.page = PromptTokens(before=(*before, *page.before), after=(*page.after, *after))
        before_query, _, after_query = checkpoint.query_prompt.partition("{query}")
        # Text between the last special token and the query is tokenized with the query: the
        # tokenizer joins "Query:" and the space behind it with what follows.
        end = before_query.rfind("|>")
        cut = 0 if end < 0 else end + len("|>")
        opening = self._around_image(before_query[:cut])
        self._query_opening = replace(opening, before=(*before, *opening.before))
        self._query_lead = before_query[cut:]
        tail_cut = after_query.find(_SPECIAL_OPENING)
        tail_cut = len(after_query) if tail_cut < 0 else tail_cut
        self._query_trail = after_query[:tail_cut]
        self._query_closing = (*self._ids(after_query[tail_cut:]), *after)
        self.query_prefix = self._query_prefix()

    def query(self, text: str) -> PromptTokens:
        """The query prompt around ``text``."""
        middle = f"{self._query_lead}{text}{self._query_trail}"
        ids = self._untrusted.encode(middle, add_special_tokens=False).ids
        opening = self._query_opening
        return PromptTokens(
            before=opening.before, after=(*opening.after, *ids, *self._query_closing)
        )

    def _query_prefix(self) -> PromptTokens:
        """The tokens with which all queries begin, found with two texts that share nothing."""
        one, other = self.query("a"), self.query("1")
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(one.after, other.after))  # noqa: B905
        return PromptTokens(before=one.before, after=tuple(token for token, _ in shared))

    def pieces(self, tokens: PromptTokens) -> list[str]:
        """The text of every token; the bytes of a split character become \ufffd."""
        ids = (*tokens.before, *tokens.after)
        return [self._trusted.decode([n], skip_special_tokens=False) for n in ids]

    def _around_image(self, prompt: str) -> PromptTokens:
        before, _, after = prompt.partition(IMAGE_PLACEHOLDER)
        return PromptTokens(before=self._ids(before), after=self._ids(after))

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._trusted.encode(text, add_special_tokens=False).ids)


def _added(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens that a tokenizer puts before and after every text; Qwen2's puts none."""
    whole, bare = (tokenizer.encode("a", add_special_tokens=one).ids for one in (True, False))
    start = next((n for n in range(len(whole)) if whole[n : n + len(bare)] == bare), 0)
    return tuple(whole[:start]), tuple(whole[start + len(bare) :])
