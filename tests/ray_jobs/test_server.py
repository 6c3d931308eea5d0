"""All shards write into one collection; needs a Qdrant server, named in QDRANT_URL."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from tests.ray_jobs.ray_runs import LATE, assert_same, write_documents

from vdr_integrations import PageSearcher
from vdr_integrations.errors import OptionError
from vdr_integrations.index import open_index, sync_index
from vdr_integrations.index.server.qdrant_server import QdrantServer
from vdr_integrations.ray_jobs import index_with_ray

if TYPE_CHECKING:
    from pathlib import Path

URL = os.environ.get("QDRANT_URL")


@pytest.mark.skipif(URL is None, reason="QDRANT_URL names no server")
def test_the_collection_is_the_index_of_one_process(tmp_path: Path) -> None:
    write_documents(tmp_path / "documents", 5)
    server = QdrantServer(f"ray-{secrets.token_hex(8)}", url=URL)
    report = index_with_ray(
        server, [tmp_path / "documents"], encoder=LATE, late_interaction=True, encoders=2, shards=2
    )
    assert len(report.added) == 5
    with PageSearcher(tmp_path / "one", encoder=LATE) as one, open_index(server) as found:
        index = one.create()
        sync_index(index, one.page_encoder, [tmp_path / "documents"])
        assert_same(found, index)


def test_what_cannot_be_on_a_server_is_refused(tmp_path: Path) -> None:
    client: Any = object()
    with pytest.raises(OptionError, match="a client cannot be sent"):
        index_with_ray(QdrantServer("x", client=client), [tmp_path], encoder=LATE)
