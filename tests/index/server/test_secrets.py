"""Keys and passwords: where they are sent, and that they are never shown."""

from __future__ import annotations

import base64
import os
import signal
import sys
from typing import Any

import httpx
import pytest
from tests.patience import HANG_S

from vdr_integrations.errors import IndexStoreError, MissingExtraError, OptionError
from vdr_integrations.index.server.calls import ServerCalls
from vdr_integrations.index.server.engine import ServerEngine
from vdr_integrations.index.server.qdrant_server import QdrantServer

KEY = "s3cret-key"
FAR = [
    "http://qdrant.example:6333",
    "http://10.0.0.5:6333",
    "http://127.0.0.1.example:6333",
    "http://localhost.example",
    "http://localhost\\@qdrant.example:6333",
    "http://[2001:db8::1]:6333",
]
NEAR = [
    "http://localhost:6333",
    "http://127.0.0.1:6333",
    "http://127.9.8.7",
    "http://[::1]:6333",
    "https://qdrant.example",
]


@pytest.mark.parametrize("url", FAR)
def test_a_key_over_plain_http_is_refused(url: str) -> None:
    with pytest.raises(OptionError, match="plain http") as found:
        QdrantServer("pages", url=url, api_key=KEY)
    assert KEY not in str(found.value)
    QdrantServer("pages", url=url, api_key=KEY, allow_insecure=True)


@pytest.mark.parametrize("url", ["http://me:s3cret-key@qdrant.example", "http://me@10.0.0.5"])
def test_a_password_over_plain_http_is_refused(url: str) -> None:
    with pytest.raises(OptionError, match="plain http") as found:
        QdrantServer("pages", url=url)
    assert "me" not in str(found.value).split()
    assert KEY not in str(found.value)


@pytest.mark.parametrize("url", NEAR)
def test_a_key_may_go_where_nobody_can_read_it(url: str) -> None:
    assert str(QdrantServer("pages", url=url, api_key=KEY)) == f"{url}/pages"


def test_plain_http_without_a_key_is_nobodys_business() -> None:
    for url in (one for one in FAR if "@" not in one):
        QdrantServer("pages", url=url)


def test_no_secret_is_shown() -> None:
    server = QdrantServer(
        "pages", url="https://me:s3cret-key@qdrant.example:6334/a/?token=s3cret-key", api_key=KEY
    )
    for shown in (str(server), repr(server), f"{server}", server.shown_url):
        assert KEY not in shown
        assert "me" not in shown.split("@")
        assert "qdrant.example:6334/a" in shown
    assert server.login == ("me", KEY)


@pytest.mark.parametrize(
    "url", ["localhost:6333", "ftp://x", "http://", "http://x:port", "http://[::1", "s3cret-key"]
)
def test_other_urls_are_refused_without_showing_them(url: str) -> None:
    with pytest.raises(OptionError, match="must look like") as found:
        QdrantServer("pages", url=url)
    assert KEY not in str(found.value)


def test_a_server_is_named_once() -> None:
    client: Any = object()
    for url, given in ((None, None), ("http://localhost", client)):
        with pytest.raises(OptionError, match="not both"):
            QdrantServer("pages", url=url, client=given)
    with pytest.raises(OptionError, match="has its own"):
        QdrantServer("pages", client=client, api_key=KEY)


class Connections:
    """What reaches the network, and the connections that it goes through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[httpx.Request] = []
        self.opened: list[httpx.HTTPTransport] = []
        self.closed: list[httpx.HTTPTransport] = []

        def answer(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            if transport not in self.opened:
                self.opened.append(transport)
            return httpx.Response(200, json={"result": {"exists": True}})

        def close(transport: httpx.HTTPTransport) -> None:
            self.closed.append(transport)

        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
        monkeypatch.setattr(httpx.HTTPTransport, "close", close)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    return Connections(monkeypatch)


def test_a_client_of_its_own_sends_key_and_login_and_is_closed(connections: Connections) -> None:
    url = "http://me:word@localhost:6333/prefix"
    calls = ServerCalls(QdrantServer("pages", url=url, api_key=KEY))
    for _ in range(2):
        assert calls.call("collection_exists") is True
    login = base64.b64encode(b"me:word").decode()
    for request in connections.requests:
        assert str(request.url) == "http://localhost:6333/prefix/collections/pages/exists"
        assert request.headers["api-key"] == KEY
        assert request.headers["authorization"] == f"Basic {login}"
    assert len(connections.requests) == 2
    (connection,) = connections.opened
    assert connection not in connections.closed
    calls.close()
    assert connection in connections.closed
    with pytest.raises(IndexStoreError, match="closed"):
        calls.call("collection_exists")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_connects_by_itself(connections: Connections) -> None:
    calls = ServerCalls(QdrantServer("pages", url="http://localhost:6333"))
    calls.call("collection_exists")
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(HANG_S)
        try:
            calls.call("collection_exists")
            calls.close()
            _, own = connections.opened
            os._exit(0 if own in connections.closed else 3)
        except BaseException:  # noqa: BLE001  # nothing of the test runs on in the child
            os._exit(4)
    assert os.waitpid(child, 0)[1] == 0
    calls.call("collection_exists")
    assert len(connections.opened) == 1
    calls.close()


def test_a_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    server = QdrantServer("pages", url="http://localhost:6333")
    for make in (ServerCalls, ServerEngine.open):
        with pytest.raises(MissingExtraError, match=r"vdr-integrations\[qdrant\]"):
            make(server)
