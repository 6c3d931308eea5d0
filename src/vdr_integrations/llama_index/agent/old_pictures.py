"""Conversations without the pictures of older tool results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.base.llms.types import (
    ChatMessage,
    CitableBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
)

from vdr_integrations.agents.old_results import OLD_PICTURE, old_results

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["without_old_pictures"]


def without_old_pictures(messages: Iterable[ChatMessage], *, keep: int = 1) -> list[ChatMessage]:
    """The messages, without the pictures of older results of tools.

    ``keep`` is the number of steps whose pictures stay; the results of one step, in which the model
    may have called several tools, stay or go together.

    A picture of a page is some 100 KB in base64 and stays in memory, traces and each later prompt.
    A sentence takes its place; texts with the page references stay, so that the model can open a
    page again. Messages are copied where they change.

    Example:
        >>> class SmallMemory(ChatMemoryBuffer):  # doctest: +SKIP
        ...     async def aput_messages(self, messages):
        ...         await super().aput_messages(without_old_pictures(messages, keep=0))
    """
    given = list(messages)
    results = [message.role in {MessageRole.TOOL, MessageRole.FUNCTION} for message in given]
    pictures = [any(map(_is_picture, message.blocks)) for message in given]
    old = old_results(results, pictures, keep=keep)
    return [_without(one) if place in old else one for place, one in enumerate(given)]


def _without(message: ChatMessage) -> ChatMessage:
    kept = [block for block in message.blocks if not _is_picture(block)]
    return message.model_copy(update={"blocks": [*kept, TextBlock(text=OLD_PICTURE)]})


def _is_picture(block: object) -> bool:
    if isinstance(block, CitableBlock):
        return any(map(_is_picture, block.content))
    if isinstance(block, DocumentBlock):
        return (block.document_mimetype or "").startswith("image/")
    return isinstance(block, ImageBlock)
