"""What a vLLM server and its clients send each other, as vLLM's sources had it in 2026.

- ``GET /v1/models``: the first one has ``id``, the name for requests, ``root``, the checkpoint, and
  ``max_model_len``; ``owned_by`` is ``"vllm"``.
- ``POST /pooling`` with ``task`` ``"token_embed"``: ``input`` has lists of token ids, and the
  answer a row for every id. Or ``messages`` has one page and a text, around which the server writes
  its own chat template; the answer has a row for every token of that prompt.
- ``POST /tokenize``: the ids of a ``prompt``, or of ``messages`` in the chat template. The page's
  placeholder is there once, or as often as the page has visual tokens.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vdr_integrations.encoders.elsewhere.http_calls import json_of
from vdr_integrations.encoders.elsewhere.wire import MODELS_PATH
from vdr_integrations.errors import ModelServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders.elsewhere.http_calls import HttpCalls

__all__ = ["VllmCard", "VllmServer"]

_POOLING_PATH = "/pooling"
_TOKENIZE_PATH = "/tokenize"
_AS_NUMBERS = {"encoding_format": "float"}
_AS_BYTES = {"encoding_format": "base64", "embed_dtype": "float32", "endianness": "little"}
_CHAT = {"add_generation_prompt": False, "add_special_tokens": False}


@dataclass(frozen=True, slots=True)
class VllmCard:
    """What a server says of its model.

    Attributes:
        name: What requests call it.
        root: Its hub id, or its folder on the server's machine.
        max_tokens: Most tokens of a request, prompt included.
    """

    name: str
    root: str
    max_tokens: int

    @classmethod
    def of_json(cls, found: object) -> Self | None:
        """The first model of ``/v1/models``; None if it says too little."""
        if not isinstance(found, dict):
            return None
        facts: dict[str, Any] = {**found}
        name, most = facts.get("id"), facts.get("max_model_len")
        if not isinstance(name, str) or not isinstance(most, int):
            return None
        return cls(name=name, root=str(facts.get("root") or name), max_tokens=most)


class VllmServer:
    """Asks one vLLM server; use it in the loop of the calls only.

    Attributes:
        url: Its address.
        card: Its model, as it said at first.
    """

    def __init__(self, calls: HttpCalls, card: VllmCard, *, page_text: str) -> None:
        """Ask nothing yet.

        Args:
            calls: The calls to it.
            card: Its model.
            page_text: Text beside every page.
        """
        self.url = calls.address.url
        self.card = card
        self._calls = calls
        self._page_text = page_text

    async def check(self) -> None:
        """Refuse a server that serves another model now.

        Raises:
            ModelServerError: It does, or cannot be reached.
        """
        found = await self._calls.get(MODELS_PATH)
        try:
            card = VllmCard.of_json(found["data"][0])
        except (KeyError, IndexError, TypeError):
            card = None
        if card != self.card:
            now = "no model" if card is None else f"{card.name} ({card.root})"
            raise ModelServerError(
                f"{self.url} serves {now} now, and {self.card.name} ({self.card.root}) before; "
                f"load the encoder again."
            )

    async def of_tokens(
        self, ids: Sequence[Sequence[int]], *, width: int
    ) -> list[NDArray[np.float32]]:
        """Vectors of token ids.

        Args:
            ids: The ids of each item.
            width: Components of a vector.

        Returns:
            float32 (tokens, width) for each item.

        Raises:
            ModelServerError: The server gives something else.
        """
        rows = await self._pooled({"input": [list(one) for one in ids], **_AS_BYTES})
        found = [self._matrix(one, width) for one in rows]
        if [*map(len, found)] != [*map(len, ids)]:
            raise self._other_answer()
        return found

    async def of_page(self, png: bytes, *, width: int) -> NDArray[np.float32]:
        """Vectors of a page and of the server's prompt around it: float32 (tokens, width).

        Raises:
            ModelServerError: The server gives something else.
        """
        (found,) = await self._pooled({**self._chat(png), **_AS_BYTES}, count=1)
        return self._matrix(found, width)

    async def numbers_of_tokens(self, ids: Sequence[int]) -> object:
        """What the server gives for ids, as the JSON numbers that it sends."""
        (found,) = await self._pooled({"input": [list(ids)], **_AS_NUMBERS}, count=1)
        return found

    async def text_tokens(self, text: str) -> list[int]:
        """Ids of a text in which special tokens are special.

        Raises:
            ModelServerError: The server gives something else.
        """
        return await self._tokens({"prompt": text, "add_special_tokens": False})

    async def page_tokens(self, png: bytes) -> list[int]:
        """Ids of the server's prompt around a page.

        Raises:
            ModelServerError: The server gives something else.
        """
        return await self._tokens(self._chat(png))

    def _chat(self, png: bytes) -> dict[str, Any]:
        url = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": self._page_text},
        ]
        return {"messages": [{"role": "user", "content": content}], **_CHAT}

    async def _pooled(self, body: dict[str, Any], *, count: int | None = None) -> list[Any]:
        body = {"model": self.card.name, "task": "token_embed", **body}
        answer = await self._calls.post_json(_POOLING_PATH, body)
        try:
            items = sorted(json_of(answer)["data"], key=lambda item: item["index"])
            found = [item["data"] for item in items]
        except (ValueError, KeyError, TypeError):
            raise self._other_answer() from None
        if count is not None and len(found) != count:
            raise self._other_answer()
        return found

    async def _tokens(self, body: dict[str, Any]) -> list[int]:
        answer = await self._calls.post_json(_TOKENIZE_PATH, {"model": self.card.name, **body})
        try:
            return [int(one) for one in json_of(answer)["tokens"]]
        except (ValueError, KeyError, TypeError):
            raise self._other_answer() from None

    def _matrix(self, data: object, width: int) -> NDArray[np.float32]:
        try:
            if isinstance(data, str):
                flat = np.frombuffer(base64.b64decode(data, validate=True), "<f4")
                return flat.astype(np.float32).reshape(-1, width)
            found = np.asarray(data, np.float32)
        except (ValueError, TypeError):
            raise self._other_answer() from None
        if found.ndim != 2 or found.shape[1] != width:
            raise self._other_answer()
        return found

    def _other_answer(self) -> ModelServerError:
        return ModelServerError(
            f"{self.url} answers with something else than what vLLM gives for {self.card.name}: "
            f"one vector for every token. Does it run vLLM, with task token_embed?"
        )
