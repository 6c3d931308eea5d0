"""Text searches of a document that another process replaces or removes meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.index.server.shelf import EVERYWHERE, Shelf, places

from vdr_integrations.errors import IndexLockedError
from vdr_integrations.index.server.engine import ServerEngine
from vdr_integrations.index.server.qdrant_server import QdrantServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from qdrant_client import QdrantClient

METHODS = ["scroll", "retrieve"]


class ChangingClient:
    """A client that lets another process change the collection before each of some calls."""

    def __init__(self, client: QdrantClient, method: str, change: Callable[[], None]) -> None:
        self._client = client
        self._method = method
        self._change = change

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            self._change()
        return getattr(self._client, name)


def changing(client: QdrantClient, method: str, change: Callable[[], None]) -> ServerEngine:
    """An engine whose searches meet the change."""
    is_open: list[bool] = []
    stand_in: Any = ChangingClient(client, method, lambda: change() if is_open else None)
    engine = ServerEngine.open(QdrantServer("pages", client=stand_in))
    is_open.append(True)
    return engine


@pytest.mark.parametrize("method", METHODS)
def test_a_replaced_document_is_found_as_it_is_afterwards(
    shelf: Shelf, client: QdrantClient, method: str
) -> None:
    shelf.add("a.pdf", 3)
    shelf.add("b.pdf", 2, seed=1)
    changes = iter([lambda: shelf.add("a.pdf", 1, seed=2), lambda: shelf.add("a.pdf", 2, seed=3)])

    def change() -> None:
        for one in changes:
            one()
            return

    engine = changing(client, method, change)
    found = places(engine.search_text("text", k=9, where=EVERYWHERE))
    assert found == [("a.pdf", 1), ("a.pdf", 2), ("b.pdf", 1), ("b.pdf", 2)]
    scores = engine.text_scores("text", EVERYWHERE)
    assert len(scores.page_ids) == 4


@pytest.mark.parametrize("method", METHODS)
def test_a_removed_document_is_not_found(shelf: Shelf, client: QdrantClient, method: str) -> None:
    shelf.add("a.pdf", 3)
    shelf.add("b.pdf", 2, seed=1)

    def change() -> None:
        shelf.engine.remove_document("a.pdf")

    engine = changing(client, method, change)
    assert places(engine.search_text("text", k=9, where=EVERYWHERE)) == [("b.pdf", 1), ("b.pdf", 2)]


def test_a_document_that_changes_all_the_time_is_an_error_that_says_so(
    shelf: Shelf, client: QdrantClient
) -> None:
    shelf.add("a.pdf", 3)
    engine = changing(client, "scroll", lambda: shelf.add("a.pdf", 3, seed=1))
    with pytest.raises(IndexLockedError, match="changed during each"):
        engine.search_text("text", k=9, where=EVERYWHERE)
