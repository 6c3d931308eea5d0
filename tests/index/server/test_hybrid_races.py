"""Hybrid searches while another process replaces a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.index.server.shelf import Shelf, places, unit_rows

from vdr_integrations.index.hybrid import HybridQuery
from vdr_integrations.index.server.engine import ServerEngine

if TYPE_CHECKING:
    from tests.index.server.faulty_client import FaultyClient

    from vdr_integrations.index.server.qdrant_server import QdrantServer


def test_a_document_that_is_replaced_meanwhile_is_found_as_it_is_afterwards(
    shelf: Shelf, server: QdrantServer, faulty: FaultyClient
) -> None:
    shelf.add("a.pdf", 3)
    shelf.add("b.pdf", 2, seed=1)
    writer = Shelf(ServerEngine.open(server))
    left = [1]

    def replaced(method: str, _: dict[str, Any]) -> None:
        if method == "query_points" and left[0]:
            left[0] = 0
            writer.add("a.pdf", 2, seed=3)

    faulty.on_call = replaced
    hits = shelf.search(unit_rows(4, seed=9), 9, hybrid=HybridQuery("text 2"))
    assert left == [0]
    assert sorted(places(hits)) == [("a.pdf", 1), ("a.pdf", 2), ("b.pdf", 1), ("b.pdf", 2)]
