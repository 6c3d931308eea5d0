"""Conversations without the pictures of older tool results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.messages import BaseMessage, FunctionMessage, ToolMessage

from vdr_integrations.agents.old_results import OLD_PICTURE, old_results

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["without_old_pictures"]

_MessageT = TypeVar("_MessageT", bound=BaseMessage)


def without_old_pictures(messages: Iterable[_MessageT], *, keep: int = 1) -> list[_MessageT]:
    """The messages, without the pictures of older results of tools.

    ``keep`` is the number of steps whose pictures stay; the results of one step, in which the model
    may have called several tools, stay or go together.

    A picture of a page is some 100 KB in base64 and stays in checkpoints, traces and each later
    prompt. A sentence takes its place; texts with the page references stay, so that the model can
    open a page again. Messages are copied where they change; ids stay, so that a state of LangGraph
    replaces them.

    Example:
        >>> @before_model  # doctest: +SKIP
        ... def forget_pictures(state, runtime):
        ...     return {"messages": without_old_pictures(state["messages"])}
    """
    given = list(messages)
    results = [isinstance(message, ToolMessage | FunctionMessage) for message in given]
    pictures = [any(map(_is_picture, message.content)) for message in given]
    old = old_results(results, pictures, keep=keep)
    return [_without(one) if place in old else one for place, one in enumerate(given)]


def _without(message: _MessageT) -> _MessageT:
    kept = [block for block in message.content if not _is_picture(block)]
    return message.model_copy(update={"content": [*kept, {"type": "text", "text": OLD_PICTURE}]})


def _is_picture(block: object) -> bool:
    """Whether a block is a picture in the form of any provider."""
    if not isinstance(block, dict):
        return False
    found = cast("dict[str, Any]", block)
    mime_type = str(found.get("mime_type") or found.get("media_type") or "")
    return (
        found.get("type") in {"image", "image_url", "input_image"}
        or "image" in found
        or mime_type.startswith("image/")
    )
