"""Answers as vLLM does, with a model of this package behind it; vLLM itself needs a GPU.

What it keeps is what vLLM's sources say of ``/v1/models``, ``/tokenize`` and ``/pooling``: the
defaults of options, the chat template, the error bodies. Its model is real.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from starlette.responses import JSONResponse, Response
from tokenizers import Tokenizer

from vdr_integrations import MultiVectorEncoder
from vdr_integrations.encoders import Checkpoint
from vdr_integrations.encoders.preprocessing.prepared import PreparedQuery
from vdr_integrations.encoders.preprocessing.prompt_tokens import PromptTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from starlette.types import ASGIApp, Receive, Scope, Send

    from vdr_integrations.types import PixelBudget

__all__ = ["IMAGE", "QWEN3_CHAT", "VllmStandIn"]

IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
QWEN3_CHAT = f"<|im_start|>user\n{IMAGE}{{text}}<|im_end|>\n"
"""What the chat template of Qwen3-VL writes for a page and a text."""
_GENERATION = "<|im_start|>assistant\n"
_PLAIN = "{query}"


class _RefusedError(Exception):
    def __init__(self, message: str, *, status: int = 400, kind: str = "BadRequestError") -> None:
        super().__init__(message)
        error = {"message": message, "type": kind, "param": None, "code": status}
        self.answer = JSONResponse({"error": error}, status_code=status)


@dataclass(kw_only=True)
class VllmStandIn:
    """An ASGI application. Everything can be changed between two requests.

    Attributes:
        folder: The checkpoint.
        tokenizer: Path of ``tokenizer.json``.
        name: Served name.
        root: What it says that it has loaded.
        owner: Who it says that it is.
        dimension: Components of a vector.
        side: Side of a visual token, in pixels.
        chat: The chat template; ``{text}`` is the text beside a page.
        budget: Pages outside are resized, as the checkpoint's own processor does.
        max_model_len: Most tokens of a request.
        expands: Whether ``/tokenize`` repeats the placeholder of a page.
        key: Of ``--api-key``.
        change: What is done to the rows of an answer: for servers that are wrong.
        answers: What is answered next, one after the other; None hands on.
        asked: Paths and bodies of all requests.
    """

    folder: Path | str
    tokenizer: Path
    name: str
    root: str
    owner: str = "vllm"
    dimension: int = 320
    side: int = 32
    chat: str = QWEN3_CHAT
    budget: PixelBudget | None = None
    max_model_len: int = 2048
    expands: bool = False
    key: str | None = None
    change: Callable[[NDArray[np.float32]], Any] | None = None
    answers: list[Response | None] = field(default_factory=list[Response | None])
    asked: list[tuple[str, dict[str, Any]]] = field(
        default_factory=list[tuple[str, dict[str, Any]]]
    )

    def __post_init__(self) -> None:
        self._tokens = Tokenizer.from_file(str(self.tokenizer))
        self._encoders: dict[str, MultiVectorEncoder] = {}

    def encoder(self, page_prompt: str) -> MultiVectorEncoder:
        """The model with another prompt around pages, and none around queries."""
        if page_prompt not in self._encoders:
            self._encoders[page_prompt] = MultiVectorEncoder.load(
                str(self.folder),
                checkpoint=Checkpoint(
                    model="served",
                    page_prompt=page_prompt,
                    query_prompt=_PLAIN,
                    pooling="multi_vector",
                    token_dimension=self.dimension,
                ),
                device="cpu",
                dtype="float32",
            )
        return self._encoders[page_prompt]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        self.asked.append((scope["path"], body))
        answer: ASGIApp | None = self.answers.pop(0) if self.answers else None
        if answer is None:
            try:
                answer = await self._answer(scope, body)
            except _RefusedError as refused:
                answer = refused.answer
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, body: dict[str, Any]) -> Response:
        given = dict(scope["headers"]).get(b"authorization", b"").decode()
        if self.key is not None and given != f"Bearer {self.key}":
            return JSONResponse({"error": "Unauthorized"}, status_code=401)
        if scope["path"] == "/v1/models":
            return JSONResponse({"object": "list", "data": [self._card()]})
        if body.get("model") not in (None, self.name):
            said = f"The model `{body['model']}` does not exist."
            raise _RefusedError(said, status=404, kind="NotFoundError")
        if body.get("chat_template") is not None:
            raise _RefusedError("Refused request with untrusted chat template.")
        if scope["path"] == "/tokenize":
            return JSONResponse(self._tokenized(body))
        if scope["path"] == "/pooling":
            return JSONResponse(await asyncio.to_thread(self._pooled, body))
        return JSONResponse({"detail": "Not Found"}, status_code=404)

    def _card(self) -> dict[str, Any]:
        return {
            "id": self.name,
            "object": "model",
            "created": int(time.time()),
            "owned_by": self.owner,
            "root": self.root,
            "parent": None,
            "max_model_len": self.max_model_len,
            "permission": [],
        }

    def _tokenized(self, body: dict[str, Any]) -> dict[str, Any]:
        if "messages" in body:
            image, prompt = self._chat(body, add_generation_prompt=True)
            special = body.get("add_special_tokens", False)
            ids = self._tokens.encode(prompt, add_special_tokens=special).ids
            if self.expands:
                pad = self._tokens.token_to_id("<|image_pad|>")
                count = image.width * image.height // self.side**2
                ids = [one for id_ in ids for one in [id_] * (count if id_ == pad else 1)]
        else:
            special = body.get("add_special_tokens", True)
            ids = self._tokens.encode(body["prompt"], add_special_tokens=special).ids
        return {"count": len(ids), "max_model_len": self.max_model_len, "tokens": ids}

    def _chat(
        self, body: dict[str, Any], *, add_generation_prompt: bool
    ) -> tuple[Image.Image, str]:
        (message,) = body["messages"]
        page, text = message["content"]
        assert (message["role"], page["type"], text["type"]) == ("user", "image_url", "text")
        head, _, data = page["image_url"]["url"].partition(",")
        assert head == "data:image/png;base64"
        image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        if self.budget is not None:
            height, width = self.budget.fit(height=image.height, width=image.width)
            image = image.resize((width, height))
        prompt = self.chat.replace("{text}", text["text"])
        if body.get("add_generation_prompt", add_generation_prompt):
            prompt += _GENERATION
        return image, prompt

    def _pooled(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("dimensions") is not None:
            raise _RefusedError("dimensions is currently not supported")
        if body.get("task") not in (None, "token_embed"):
            raise _RefusedError(f"Unsupported task: {body['task']!r}")
        if "messages" in body:
            image, prompt = self._chat(body, add_generation_prompt=False)
            encoder = self.encoder(prompt)
            rows = encoder.core.submit([encoder.core.prepare_image(image)]).result()
        else:
            rows = self._of_tokens(body)
        for one in rows:
            if len(one) > self.max_model_len:
                raise _RefusedError(f"This model's maximum context length is {self.max_model_len}.")
        done = self.encoder(IMAGE).finish(rows)
        data = [
            {"index": n, "object": "pooling", "data": self._written(one, body)}
            for n, one in enumerate(done)
        ]
        return {"id": "pool-1", "object": "list", "model": self.name, "data": data, "usage": {}}

    def _of_tokens(self, body: dict[str, Any]) -> list[NDArray[np.float32]]:
        given: Sequence[Any] = body["input"]
        special = body.get("add_special_tokens", True)
        ids = [
            self._tokens.encode(one, add_special_tokens=special).ids
            if isinstance(one, str)
            else one
            for one in given
        ]
        core = self.encoder(IMAGE).core
        return core.submit([PreparedQuery(PromptTokens((), tuple(one))) for one in ids]).result()

    def _written(self, rows: NDArray[np.float32], body: dict[str, Any]) -> Any:
        found = rows if self.change is None else self.change(rows)
        if body.get("encoding_format", "float") == "float":
            return np.asarray(found).tolist()
        dtype = {"float32": "f4", "float16": "f2"}[body.get("embed_dtype", "float32")]
        order = {"native": "=", "little": "<", "big": ">"}[body.get("endianness", "native")]
        packed = np.ascontiguousarray(found, f"{order}{dtype}").tobytes()
        return base64.b64encode(packed).decode()


async def _body(receive: Receive) -> dict[str, Any]:
    whole = b""
    while True:
        message = await receive()
        whole += message.get("body", b"")
        if not message.get("more_body"):
            return json.loads(whole) if whole else {}
