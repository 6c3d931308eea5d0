"""Conversations without the pictures of older tool results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock

from vdr_integrations.agents import OLD_PICTURE

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["without_old_pictures"]


def without_old_pictures(messages: Iterable[ChatMessage], *, keep: int = 1) -> list[ChatMessage]:
    """The messages, without the pictures of all but the last ``keep`` tool results that have some.

    A picture of a page is some 100 KB in base64 and stays in memory, traces and each later prompt.
    A sentence takes its place; texts with the page references stay, so that the model can open a
    page again. Messages are copied where they change.

    Example:
        >>> class SmallMemory(ChatMemoryBuffer):  # doctest: +SKIP
        ...     async def aput_messages(self, messages):
        ...         await super().aput_messages(without_old_pictures(messages, keep=0))
    """
    given = list(messages)
    shown = [place for place, message in enumerate(given) if _has_picture(message)]
    old = set(shown[: len(shown) - keep] if keep > 0 else shown)
    return [_without(one) if place in old else one for place, one in enumerate(given)]


def _has_picture(message: ChatMessage) -> bool:
    is_result = message.role in {MessageRole.TOOL, MessageRole.FUNCTION}
    return is_result and any(isinstance(block, ImageBlock) for block in message.blocks)


def _without(message: ChatMessage) -> ChatMessage:
    kept = [block for block in message.blocks if not isinstance(block, ImageBlock)]
    return message.model_copy(update={"blocks": [*kept, TextBlock(text=OLD_PICTURE)]})
