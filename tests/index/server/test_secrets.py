"""Keys and passwords: where they are sent, and that they are never shown."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from vdr_integrations.errors import MissingExtraError, OptionError
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


def test_a_client_of_its_own_gets_key_and_login_and_is_closed() -> None:
    url = "http://me:word@localhost:6333/prefix"
    calls = ServerCalls(QdrantServer("pages", url=url, api_key=KEY))
    client = calls._client()
    remote: Any = client._client
    assert remote.rest_uri == "http://localhost:6333/prefix"
    assert remote._rest_headers["api-key"] == KEY
    assert remote._rest_args["auth"] == ("me", "word")
    assert calls._client() is client
    calls._made.after_fork()
    again = calls._client()
    assert again is not client
    calls.close()
    assert again._client.closed
    client.close()


def test_a_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    server = QdrantServer("pages", url="http://localhost:6333")
    for make in (ServerCalls, ServerEngine.open):
        with pytest.raises(MissingExtraError, match=r"vdr-integrations\[qdrant\]"):
            make(server)
