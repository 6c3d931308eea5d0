"""The paths of a server that give vectors and facts of its model."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vdr_integrations.encoders.dense_encoder import DenseEncoder
from vdr_integrations.encoders.elsewhere.plain_items import PlainQuery
from vdr_integrations.encoders.elsewhere.wire import (
    BUDGET_HEADER,
    MODEL_HEADER,
    MODELS_PATH,
    PAGES_PATH,
    QUERIES_PATH,
    QUERY_TOKENS_PATH,
    ServedFacts,
    pages_of,
)
from vdr_integrations.encoders.forward.output_vectors import dense_vectors
from vdr_integrations.encoders.multi_vector_encoder import MultiVectorEncoder
from vdr_integrations.errors import OptionError
from vdr_integrations.serve.http_replies import RequestError, vectors_reply
from vdr_integrations.serve.openai_bodies import (
    EmbeddingsBody,
    PoolingBody,
    embeddings_json,
    items_of,
    pooling_json,
)
from vdr_integrations.serve.request_reading import Bodies, off_the_loop, while_connected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from starlette.requests import Request

    from vdr_integrations.serve.model_gate import ModelGate, Rows
    from vdr_integrations.serve.serve_limits import ServeLimits

    AnyEncoder = DenseEncoder | MultiVectorEncoder

__all__ = ["ModelRoutes"]


class _Texts(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    texts: list[str]


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: str


class ModelRoutes:
    """Answers requests for vectors of one encoder."""

    def __init__(self, encoder: AnyEncoder, gate: ModelGate, limits: ServeLimits) -> None:
        """Answer with the vectors that come through ``gate``."""
        self._encoder = encoder
        self._gate = gate
        self._bodies = Bodies(limits)
        self._facts = ServedFacts.of(
            encoder, most_items=limits.request_items, most_bytes=limits.request_bytes
        )
        self._identity = self._facts.identity

    def routes(self) -> list[Route]:
        """Its paths."""
        return [
            Route(MODELS_PATH, self._models, methods=["GET"]),
            Route(PAGES_PATH, self._pages, methods=["POST"]),
            Route(QUERIES_PATH, self._queries, methods=["POST"]),
            Route(QUERY_TOKENS_PATH, self._query_tokens, methods=["POST"]),
            Route("/v1/embeddings", self._embeddings, methods=["POST"]),
            Route("/pooling", self._pooling, methods=["POST"]),
        ]

    async def _models(self, _: Request) -> Response:
        encoder = self._encoder
        model = {
            "id": encoder.name,
            "object": "model",
            "owned_by": "vdr-integrations",
            "max_model_len": encoder.core.facts.max_tokens,
            "fingerprint": encoder.fingerprint,
            "dimension": encoder.dimension,
            "max_visual_tokens": encoder.pixel_budget.max_visual_tokens,
            "min_visual_tokens": encoder.pixel_budget.min_visual_tokens,
            "token_side_px": encoder.pixel_budget.factor,
            "is_multi_vector": encoder.checkpoint.is_multi_vector,
            "prompts": {
                "page": encoder.checkpoint.page_prompt,
                "query": encoder.checkpoint.query_prompt,
            },
            "vdr": self._facts.as_json(),
        }
        return JSONResponse({"object": "list", "data": [model]})

    async def _pages(self, request: Request) -> Response:
        self._check_identity(request)
        budget = _budget(request)
        async with self._bodies.body(request) as body:
            pages = await off_the_loop(pages_of, body, size=len(body))
            if not pages:
                raise RequestError("found no pages; send at least one.", status=400)
            rows = await while_connected(request, self._gate.rows(pages, budget=budget))
        return await self._vectors(rows)

    async def _queries(self, request: Request) -> Response:
        self._check_identity(request)
        budget = _budget(request)
        async with self._bodies.parsed(request, _Texts) as body:
            if not body.texts:
                raise RequestError("found no texts; send at least one.", status=400)
            items = [PlainQuery(text) for text in body.texts]
            rows = await while_connected(request, self._gate.rows(items, budget=budget))
        return await self._vectors(rows)

    async def _vectors(self, rows: Rows) -> Response:
        size = sum(one.nbytes for one in rows.vectors)
        return await off_the_loop(vectors_reply, rows.vectors, size=size)

    async def _query_tokens(self, request: Request) -> Response:
        self._check_identity(request)
        encoder = self._encoder
        if not isinstance(encoder, MultiVectorEncoder):
            raise OptionError(
                f"{encoder.name} gives one vector a page, so its queries have no rows to name."
            )
        async with self._bodies.parsed(request, _Text) as body:
            return JSONResponse(
                {"tokens": await asyncio.to_thread(encoder.query_tokens, body.text)}
            )

    async def _embeddings(self, request: Request) -> Response:
        encoder = self._encoder
        if not isinstance(encoder, DenseEncoder):
            raise OptionError(
                f"{encoder.name} gives one vector a token, and /v1/embeddings has one an input; "
                f"use /pooling with task token_embed."
            )
        async with self._bodies.parsed(request, EmbeddingsBody) as body:
            return await self._answer(request, body, embeddings_json)

    async def _pooling(self, request: Request) -> Response:
        encoder = self._encoder
        wanted = "token_embed" if isinstance(encoder, MultiVectorEncoder) else "embed"
        async with self._bodies.parsed(request, PoolingBody) as body:
            if body.task not in {None, wanted}:
                raise OptionError(f"task is {body.task}; {encoder.name} does {wanted}.")
            return await self._answer(request, body, pooling_json)

    async def _answer(
        self,
        request: Request,
        body: EmbeddingsBody | PoolingBody,
        form: Callable[..., dict[str, Any]],
    ) -> Response:
        self._check_name(body.model)
        encoder = self._encoder
        items = await asyncio.to_thread(items_of, body)
        rows = await while_connected(request, self._gate.rows(items))

        def reply() -> Response:
            found = form(
                _finished(encoder, rows.vectors, dimension=body.dimensions),
                model=encoder.name,
                tokens=rows.tokens,
                as_base64=body.encoding_format == "base64",
            )
            return JSONResponse(found)

        return await asyncio.to_thread(reply)

    def _check_identity(self, request: Request) -> None:
        wanted = request.headers.get(MODEL_HEADER)
        if wanted not in {None, self._identity}:
            raise RequestError(
                f"this server runs {self._encoder.name} with other weights or prompts than the "
                f"client expects; load the encoder again.",
                status=409,
            )

    def _check_name(self, name: str | None) -> None:
        if name not in {None, "", self._encoder.name}:
            raise RequestError(
                f"this server runs {self._encoder.name}; leave model out, or name that.", status=404
            )


def _finished(
    encoder: AnyEncoder, rows: list[NDArray[np.float32]], *, dimension: int | None
) -> Sequence[NDArray[np.float32]] | NDArray[np.float32]:
    """Vectors of length 1, with as many components as the caller wants."""
    if dimension in {None, encoder.dimension}:
        return encoder.finish(rows)
    full = encoder.core.facts.dimension
    if isinstance(encoder, MultiVectorEncoder):
        raise OptionError(
            f"dimensions is {dimension}; the token vectors of {encoder.name} have {full} "
            f"components and were not trained to be shortened."
        )
    if dimension is None or dimension > full:
        raise OptionError(
            f"dimensions is {dimension}; it must be between 1 and {full} for {encoder.name}."
        )
    return dense_vectors(np.stack(rows), dimension=dimension, subject=encoder.name)


def _budget(request: Request) -> int | None:
    given: Any = request.headers.get(BUDGET_HEADER)
    if given is None:
        return None
    if not given.isdecimal() or len(given) > 9:
        raise RequestError(f"{BUDGET_HEADER} must be a whole number, 0 at least.", status=400)
    return int(given)
