"""Conversations without the pictures of older tool results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.messages import BaseMessage, ToolMessage

from vdr_integrations.agents import OLD_PICTURE

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["without_old_pictures"]

_MessageT = TypeVar("_MessageT", bound=BaseMessage)


def without_old_pictures(messages: Iterable[_MessageT], *, keep: int = 1) -> list[_MessageT]:
    """The messages, without the pictures of all but the last ``keep`` tool results that have some.

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
    shown = [place for place, message in enumerate(given) if _pictures(message)]
    old = set(shown[: len(shown) - keep] if keep > 0 else shown)
    return [_without(one) if place in old else one for place, one in enumerate(given)]


def _pictures(message: BaseMessage) -> list[Any]:
    blocks = message.content if isinstance(message, ToolMessage) else ""
    return [block for block in blocks if _is_picture(block)]


def _without(message: _MessageT) -> _MessageT:
    blocks = cast("list[Any]", message.content)
    kept = [block for block in blocks if not _is_picture(block)]
    return message.model_copy(update={"content": [*kept, {"type": "text", "text": OLD_PICTURE}]})


def _is_picture(block: Any) -> bool:  # noqa: ANN401  # LangChain's type
    return isinstance(block, dict) and cast("dict[str, Any]", block).get("type") in {
        "image",
        "image_url",
    }
