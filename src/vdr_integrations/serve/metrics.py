"""What a server counts, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

if TYPE_CHECKING:
    from vdr_integrations.encoders.runtime.running_model import PassOfModel, RunningModel

__all__ = ["ServerMetrics"]

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class ServerMetrics:
    """Counters of one server."""

    def __init__(self, model: RunningModel) -> None:
        """Count the passes of a model, and what else is told."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "vdr_requests",
            "Requests that were answered.",
            ["path", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "vdr_request_seconds",
            "Time from a request to its answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._waiting = Gauge(
            "vdr_queue_items",
            "Pages and texts that wait or are encoded.",
            registry=self._registry,
        )
        self._items = Counter(
            "vdr_encoded", "Pages and queries that were encoded.", ["kind"], registry=self._registry
        )
        self._batch_items = Histogram(
            "vdr_batch_items",
            "Pages or queries of one pass of the model.",
            ["kind"],
            buckets=_SIZES,
            registry=self._registry,
        )
        self._batch_requests = Histogram(
            "vdr_batch_requests",
            "Requests that shared one pass of the model.",
            ["kind"],
            buckets=_SIZES,
            registry=self._registry,
        )
        self._batch_seconds = Histogram(
            "vdr_batch_seconds",
            "Time of one pass of the model.",
            ["kind"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        model.watch(self._note_pass)

    def note_waiting(self, count: int) -> None:
        """Note how many pages and texts wait or are encoded."""
        self._waiting.set(count)

    def note_request(self, path: str, status: int, seconds: float) -> None:
        """Note a request. ``path`` must be one of few, so not what a client made up."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def reply(self) -> Response:
        """All counters, as Prometheus reads them."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def _note_pass(self, one: PassOfModel) -> None:
        self._items.labels(one.kind).inc(one.items)
        self._batch_items.labels(one.kind).observe(one.items)
        self._batch_requests.labels(one.kind).observe(one.requests)
        self._batch_seconds.labels(one.kind).observe(one.seconds)
