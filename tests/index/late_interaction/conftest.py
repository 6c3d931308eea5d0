from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from pytest_socket import enable_socket
from qdrant_client import QdrantClient
from tests.index.late_interaction.pages import MANIFEST, Library

from vdr_integrations.index import LateInteractionIndex, QdrantServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Location: TypeAlias = "Path | QdrantServer"


HAS_SERVER = "QDRANT_URL" in os.environ
ENGINES = ["folder", "client", *(["server", "cluster"] if HAS_SERVER else [])]
CLUSTER: dict[str, Any] = {
    "shard_number": 3,
    "replication_factor": 3,
    "write_consistency_factor": 2,
    "on_disk": True,
    "quantization": "int8",
    "read_consistency": "quorum",
}
"""A single node takes these, too; it makes one copy of each shard."""


@pytest.fixture(params=ENGINES)
def location(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    _no_network: None,
) -> Iterator[Location]:
    """A folder, the in-process engine of the client, and the server of QDRANT_URL, if it is set.

    The server is used without options and with those of a cluster.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "folder":
        yield tmp_path / "index"
    elif request.param == "client":
        client = QdrantClient(":memory:")
        yield QdrantServer("pages", client=client)
        client.close()
    else:
        enable_socket()
        client = QdrantClient(
            url=os.environ["QDRANT_URL"], api_key=os.environ.get("QDRANT_API_KEY")
        )
        collection = f"test-{uuid.uuid4().hex}"
        options = CLUSTER if request.param == "cluster" else {}
        yield QdrantServer(collection, client=client, **options)
        client.delete_collection(collection)
        client.close()


@pytest.fixture
def index(location: Location) -> Iterator[LateInteractionIndex]:
    with LateInteractionIndex.create(location, manifest=MANIFEST) as made:
        yield made


@pytest.fixture
def library(index: LateInteractionIndex) -> Library:
    return Library(index)
