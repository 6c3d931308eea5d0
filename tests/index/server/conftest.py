from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from qdrant_client import QdrantClient
from tests.index.server.fake_server import FakeServer
from tests.index.server.faulty_client import KEY, FaultyClient
from tests.index.server.shelf import SETTINGS, Shelf

from vdr_integrations.index.server.engine import ServerEngine
from vdr_integrations.index.server.qdrant_server import QdrantServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fake() -> FakeServer:
    """What the client of :func:`over_http` speaks to."""
    return FakeServer()


@pytest.fixture
def over_http(fake: FakeServer) -> Iterator[QdrantClient]:
    """The real client, over a transport that replaces the network."""
    client = QdrantClient(
        url="https://qdrant.example",
        api_key=KEY,
        check_compatibility=False,
        transport=httpx.MockTransport(fake),  # pyright: ignore[reportArgumentType]  # for httpx
    )
    yield client
    client.close()


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    made = QdrantClient(":memory:")
    yield made
    made.close()


@pytest.fixture
def faulty(client: QdrantClient) -> FaultyClient:
    return FaultyClient(client)


@pytest.fixture
def server(faulty: FaultyClient) -> QdrantServer:
    stand_in: Any = faulty
    return QdrantServer("pages", client=stand_in)


@pytest.fixture
def pauses() -> list[float]:
    """Seconds that calls would have waited."""
    return []


@pytest.fixture
def shelf(server: QdrantServer, pauses: list[float]) -> Iterator[Shelf]:
    engine = ServerEngine.create(server, SETTINGS, sleep=pauses.append)
    yield Shelf(engine)
    engine.close()
