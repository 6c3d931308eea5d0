"""A server that the real client speaks to, over a transport that replaces the network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
from qdrant_client import models

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTED: dict[str, Any] = {"result": {"count": 7}, "status": "ok", "time": 0.0}


class FakeServer:
    """Answers requests in turn, and stores them."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response | Exception] = []
        self.requests: list[httpx.Request] = []
        self.otherwise: Callable[[httpx.Request], Any] = lambda _: COUNTED

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if not self.answers:
            return httpx.Response(200, json=self.otherwise(request))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sent(self) -> Any:
        """The body of the last request."""
        return json.loads(self.requests[-1].content)


def collection_info(**params: Any) -> Any:
    """How a server describes a collection, with these ``CollectionParams``, as JSON."""
    info = models.CollectionInfo(
        status=models.CollectionStatus.GREEN,
        optimizer_status=models.OptimizersStatusOneOf.OK,
        segments_count=1,
        config=models.CollectionConfig(
            params=models.CollectionParams(**params),
            hnsw_config=models.HnswConfig(m=16, ef_construct=100, full_scan_threshold=10_000),
            optimizer_config=models.OptimizersConfig(
                deleted_threshold=0.2,
                vacuum_min_vector_number=1000,
                default_segment_number=0,
                flush_interval_sec=5,
            ),
        ),
        payload_schema={},
    )
    return json.loads(info.model_dump_json(exclude_none=True))
