"""Conversations without the pictures of older tool results."""

from __future__ import annotations

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    CitableBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
)
from llama_index.core.memory import ChatMemoryBuffer
from tests.llama_index.pictures import picture, png

from vdr_integrations.llama_index import without_old_pictures


def result(text: str, *, role: str = "tool") -> ChatMessage:
    blocks = [TextBlock(text=text), ImageBlock(image=png(picture()), image_mimetype="image/png")]
    return ChatMessage(role=role, blocks=blocks, additional_kwargs={"tool_call_id": text})


def kinds(messages: list[ChatMessage]) -> list[list[str]]:
    return [[block.block_type for block in message.blocks] for message in messages]


TALK = [
    ChatMessage(role="user", content="What fell?"),
    result("first"),
    ChatMessage(role="assistant", content="Costs."),
    result("shown by the user", role="user"),
    result("second"),
    result("second, in parallel"),
    ChatMessage(role="assistant", content="Sure?"),
    result("third"),
]


@pytest.mark.parametrize("keep", [0, 1, 2, 9])
def test_only_the_last_pictures_of_tools_are_kept(keep: int) -> None:
    before = kinds(TALK)
    seen = without_old_pictures(TALK, keep=keep)
    kept = {1: keep > 2, 4: keep > 1, 5: keep > 1, 7: keep > 0}
    for place, message in enumerate(seen):
        whole = kept.get(place, True)
        assert kinds([message]) == [before[place] if whole else ["text", "text"]]
        assert message.additional_kwargs == TALK[place].additional_kwargs
        if not whole:
            assert "page_ref" in str(message.content)
            assert str(message.content).startswith(str(TALK[place].content))
    assert kinds(TALK) == before


async def test_a_memory_can_leave_pictures_out() -> None:
    class SmallMemory(ChatMemoryBuffer):
        async def aput_messages(self, messages: list[ChatMessage]) -> None:
            await super().aput_messages(without_old_pictures(messages, keep=0))

    memory = SmallMemory.from_defaults(token_limit=100_000)
    await memory.aput_messages(list(TALK))
    kept = await memory.aget()
    assert [message.role.value for message in kept if len(message.blocks) > 1] == [
        "tool",
        "user",
        "tool",
        "tool",
        "tool",
    ]
    assert sum(["image" in one for one in kinds(kept)]) == 1


def test_pictures_inside_other_blocks_are_pictures_too() -> None:
    image = ImageBlock(image=png(picture()), image_mimetype="image/png")
    blocks = [
        CitableBlock(title="t", source="s", content=[image]),
        DocumentBlock(data=b"aGk=", document_mimetype="image/png"),
        DocumentBlock(data=b"aGk=", document_mimetype="application/pdf"),
    ]
    [seen] = without_old_pictures([ChatMessage(role="tool", blocks=blocks)], keep=0)
    assert kinds([seen]) == [["document", "text"]]
