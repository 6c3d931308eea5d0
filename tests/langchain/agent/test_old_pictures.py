"""Conversations without the pictures of older tool results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentState, before_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver

from vdr_integrations.langchain import (
    LateInteractionRetriever,
    VisualDocumentSearchTool,
    without_old_pictures,
)

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

PICTURE = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}


def result(name: str) -> ToolMessage:
    return ToolMessage(
        content=[{"type": "text", "text": name}, PICTURE], tool_call_id=name, id=name, artifact=[1]
    )


def pictures(messages: list[Any]) -> list[int]:
    return [sum("image" in str(block)[:20] for block in message.content) for message in messages]


@pytest.mark.parametrize("keep", [0, 1, 2, 9])
def test_only_the_last_pictures_of_tools_are_kept(keep: int) -> None:
    shown = HumanMessage(content=[PICTURE])
    more = AIMessage("", tool_calls=[{"name": "x", "args": {}, "id": "d"}])
    talk: list[BaseMessage] = [HumanMessage("x"), result("a"), shown, result("b"), result("c")]
    talk += [more, result("d")]
    before = pictures(talk)
    seen = without_old_pictures(talk, keep=keep)
    kept = {1: keep > 2, 3: keep > 1, 4: keep > 1, 6: keep > 0}
    assert pictures(seen) == [
        count if kept.get(place, True) else 0 for place, count in enumerate(before)
    ]
    for old, new in zip(talk, seen, strict=True):
        assert (old.id, type(old)) == (new.id, type(new))
        if isinstance(new, ToolMessage) and new is not old:
            assert new.artifact == [1]
            assert "page_ref" in str(new.content[-1])
    assert pictures(talk) == before


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk="},
        {"type": "media", "mime_type": "image/png", "data": "aGk="},
        {"type": "file", "mime_type": "image/jpeg", "base64": "aGk="},
        {"image": {"format": "png", "source": {"bytes": b"hi"}}},
    ],
)
def test_pictures_of_all_providers_are_found(block: dict[str, Any]) -> None:
    text = {"type": "text", "text": "found"}
    message = ToolMessage(content=[text, block], tool_call_id="1")
    [seen] = without_old_pictures([message], keep=0)
    assert [one["type"] for one in seen.content_blocks] == ["text", "text"]
    assert without_old_pictures([message]) == [message]


class Scripted(BaseChatModel):
    """Searches twice, and then answers; it counts the pictures that it is shown."""

    seen: list[int]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **options: Any) -> ChatResult:
        self.seen.append(sum(pictures([m for m in messages if isinstance(m, ToolMessage)])))
        count = sum(isinstance(message, ToolMessage) for message in messages)
        call = {"name": "visual_document_search", "args": {"question": "costs"}, "id": str(count)}
        answer = AIMessage("Done.") if count == 2 else AIMessage("", tool_calls=[call])  # pyright: ignore[reportArgumentType]
        return ChatResult(generations=[ChatGeneration(message=answer)])


def test_an_agent_forgets_pictures_also_in_its_checkpoints(
    late_report: LateInteractionRetriever,
) -> None:
    @before_model
    def forget_pictures(state: AgentState[Any], runtime: Runtime) -> dict[str, list[AnyMessage]]:
        return {"messages": without_old_pictures(state["messages"])}

    model = Scripted(seen=[])
    tool = VisualDocumentSearchTool(retriever=late_report)
    agent = create_agent(
        model, tools=[tool], middleware=[forget_pictures], checkpointer=InMemorySaver()
    )
    config: Any = {"configurable": {"thread_id": "1"}}
    agent.invoke({"messages": [{"role": "user", "content": "What fell?"}]}, config)
    assert model.seen == [0, 3, 3]
    kept = agent.get_state(config).values["messages"]
    assert pictures([message for message in kept if isinstance(message, ToolMessage)]) == [0, 3]
