"""Requests of OpenAI's ``/v1/embeddings`` and of vLLM's ``/pooling``, and their answers."""

from __future__ import annotations

import base64
import re
import time
import uuid
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from vdr_integrations.encoders.elsewhere.plain_items import PlainQuery
from vdr_integrations.pages.images.any_image import open_image, unopened_image
from vdr_integrations.serve.http_replies import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.types import Page

__all__ = ["EmbeddingsBody", "PoolingBody", "embeddings_json", "items_of", "pooling_json"]

_PAGE = re.compile(r"data:(?:image/|[^\s,]*;base64,)", re.IGNORECASE)
"""How a page begins; or another file, which is refused: the vector of its letters means nothing."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None


class EmbeddingsBody(_Body):
    """OpenAI's: texts; a page is a text that is a data URL of an image."""

    input: str | list[str]
    dimensions: int | None = Field(default=None, ge=1)


class _ImageUrl(BaseModel):
    url: str


class _Part(BaseModel):
    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: _ImageUrl | None = None


class _Message(BaseModel):
    role: Literal["user", "system"]
    content: str | list[_Part]


class PoolingBody(_Body):
    """vLLM's: texts as ``input``, or one page as chat ``messages``."""

    input: str | list[str] | None = None
    messages: list[_Message] | None = None
    task: Literal["token_embed", "embed"] | None = None
    dimensions: int | None = Field(default=None, ge=1)
    add_special_tokens: bool | None = None


def items_of(body: EmbeddingsBody | PoolingBody) -> list[PlainQuery | Page]:
    """The pages and texts of a request.

    Raises:
        RequestError: Neither texts nor a page, or a page that is not in the request.
        ImageDecodeError: A data URL that is no image.
    """
    if isinstance(body, PoolingBody) and body.messages is not None:
        if body.input is not None:
            raise RequestError("found input and messages; send one of them.", status=400)
        return [_of_messages(body.messages)]
    given = [body.input] if isinstance(body.input, str) else body.input
    if not given:
        raise RequestError("found no texts and no pages; send at least one as input.", status=400)
    return [_page(one) if _PAGE.match(one) else PlainQuery(one) for one in given]


def _of_messages(messages: list[_Message]) -> PlainQuery | Page:
    """The page or text of a chat. The prompt is this server's own, so other texts are left out."""
    parts: list[_Part] = []
    for message in messages:
        if message.role == "user":
            content = message.content
            parts += [_Part(type="text", text=content)] if isinstance(content, str) else content
    urls = [part.image_url.url for part in parts if part.image_url is not None]
    if len(urls) > 1:
        raise RequestError(
            f"found {len(urls)} images in one chat; send a chat for each page.", status=400
        )
    if urls:
        if not _PAGE.match(urls[0]):
            raise RequestError(
                "found the address of an image; nothing is fetched here. Send the image itself, as "
                "a data URL (data:image/png;base64,...).",
                status=400,
            )
        return _page(urls[0])
    texts = [part.text for part in parts if part.text]
    if not texts:
        raise RequestError("found no image and no text in the messages; send one.", status=400)
    return PlainQuery("\n".join(texts))


def _page(url: str) -> Page:
    """A page that is decoded when it is prepared."""
    return unopened_image(url) or open_image(url)


def embeddings_json(
    vectors: Sequence[NDArray[np.float32]] | NDArray[np.float32],
    *,
    model: str,
    tokens: int,
    as_base64: bool,
) -> dict[str, Any]:
    """OpenAI's answer.

    Args:
        vectors: float32 (n, dimension).
        model: Name of the model.
        tokens: Tokens that were encoded, prompts and visual tokens included.
        as_base64: Little-endian float32 as base64, instead of numbers.
    """
    data = [
        {"object": "embedding", "index": n, "embedding": _numbers(vector, as_base64=as_base64)}
        for n, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def pooling_json(
    vectors: Sequence[NDArray[np.float32]] | NDArray[np.float32],
    *,
    model: str,
    tokens: int,
    as_base64: bool,
) -> dict[str, Any]:
    """VLLM's answer: a vector or matrix for each item; base64 has the rows one after the other."""
    data = [
        {"object": "pooling", "index": n, "data": _numbers(one, as_base64=as_base64)}
        for n, one in enumerate(vectors)
    ]
    return {
        "id": f"pool-{uuid.uuid4().hex}",
        "object": "list",
        "created": int(time.time()),
        "model": model,
        "data": data,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _numbers(vectors: NDArray[np.float32], *, as_base64: bool) -> Any:  # noqa: ANN401  # JSON
    if as_base64:
        return base64.b64encode(np.ascontiguousarray(vectors, "<f4").tobytes()).decode("ascii")
    return vectors.tolist()
