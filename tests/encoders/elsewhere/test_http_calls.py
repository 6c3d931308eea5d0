"""What a client does when a server is busy, restarts, or is another one."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from starlette.responses import JSONResponse, PlainTextResponse, Response
from tests.patience import HANG_S
from tests.serving import free_port, serving

from vdr_integrations import DenseEncoder, MultiVectorEncoder
from vdr_integrations.encoders.elsewhere import http_calls
from vdr_integrations.encoders.elsewhere.server_address import ServerAddress
from vdr_integrations.encoders.elsewhere.server_variables import (
    ALLOW_INSECURE_VARIABLE,
    KEY_VARIABLE,
)
from vdr_integrations.errors import EncodingError, ModelServerError, OptionError
from vdr_integrations.serve import Access, build_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

pytestmark = pytest.mark.usefixtures("loopback", "seen_pages")


class Between:
    """Stands between client and server, and answers in its place, or hands on.

    Attributes:
        answers: What is answered next, one after the other: a reply; "reset", which ends the
            connection; or None, which hands on.
        paths: The paths that were asked.
        app: To which requests are handed on.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.answers: list[Response | str | None] = []
        self.paths: list[str] = []
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            await self.app(scope, receive, send)
        elif isinstance(answer, Response):
            await answer(scope, receive, send)
        else:
            raise ConnectionResetError  # uvicorn closes the connection


@pytest.fixture(scope="module")
def own() -> DenseEncoder:
    return DenseEncoder.load("nano", device="cpu", dtype="float32")


@pytest.fixture
def between(own: DenseEncoder) -> Between:
    return Between(build_app(own))


@pytest.fixture
def address(between: Between) -> Iterator[str]:
    with serving(between) as address:
        yield address


def busy() -> Response:
    return JSONResponse({"error": {}}, status_code=503, headers={"retry-after": "0"})


def test_a_busy_server_is_asked_again(between: Between, address: str, own: DenseEncoder) -> None:
    encoder = DenseEncoder.load(address)
    too_many = PlainTextResponse("", status_code=429, headers={"retry-after": "soon"})
    between.answers = [busy(), too_many, PlainTextResponse("", status_code=502), None]
    np.testing.assert_allclose(encoder.encode_queries(["a"]), own.encode_queries(["a"]), atol=1e-5)
    assert between.paths == ["/v1/models", *["/vdr/queries"] * 4]


def test_a_connection_that_breaks_is_made_again(
    between: Between, address: str, own: DenseEncoder
) -> None:
    encoder = DenseEncoder.load(address)
    page = Image.new("RGB", (56, 56), "white")
    between.answers = [broken(), broken(), None]
    np.testing.assert_allclose(encoder.encode_pages([page]), own.encode_pages([page]), atol=1e-5)


def broken() -> Response:
    class Broken(Response):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            headers = [(b"content-length", b"100")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"x", "more_body": False})

    return Broken()


def test_an_address_where_nobody_answers_is_an_error_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_calls, "FIRST_CONTACT_S", 0.3)
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ModelServerError, match=r"gave no answer for .* \(ConnectError: ") as error:
        DenseEncoder.load(address)
    assert address in str(error.value)
    assert "vdr serve" in str(error.value)
    assert isinstance(error.value, EncodingError)
    assert isinstance(error.value, ConnectionError)


def test_a_server_that_restarts_is_waited_for(own: DenseEncoder) -> None:
    port = free_port()
    with serving(build_app(own), port=port) as address:
        encoder = DenseEncoder.load(address)
        expected = encoder.encode_queries(["a"])

    async def ask() -> np.ndarray:
        asked = asyncio.ensure_future(encoder.aencode_queries(["a"]))
        await asyncio.sleep(0)
        with contextlib.ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, serving(build_app(own), port=port))
            found = await asked
            await asyncio.to_thread(stack.close)
            return found

    np.testing.assert_array_equal(asyncio.run(ask()), expected)


def test_another_model_at_the_same_address_is_refused(between: Between, address: str) -> None:
    encoder = DenseEncoder.load(address)
    between.app = build_app(MultiVectorEncoder.load("nano-colqwen2", device="cpu"))
    for encode in (
        lambda: encoder.encode_queries(["a"]),
        lambda: encoder.encode_pages([Image.new("RGB", (56, 56))]),
    ):
        with pytest.raises(ModelServerError, match="load the encoder again"):
            encode()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (PlainTextResponse("<html>"), "does not answer in JSON"),
        (JSONResponse({"object": "list", "data": [{"id": "gpt"}]}), "is not vdr serve"),
        (JSONResponse({"data": [{"vdr": {"protocol": 99}}]}), "protocol 99"),
        (JSONResponse([]), "is not vdr serve"),
        (PlainTextResponse("", status_code=401), KEY_VARIABLE),
        (PlainTextResponse("s3cret", status_code=500), "HTTP 500"),
        (PlainTextResponse("", status_code=302, headers={"location": "http://x"}), "HTTP 302"),
        (PlainTextResponse("{}", headers={"content-encoding": "gzip"}), "cannot be unpacked"),
        (PlainTextResponse("[" * 100_000), "does not answer in JSON"),
        (PlainTextResponse("[" * 100_000, status_code=400), "HTTP 400"),
    ],
)
def test_what_is_no_server_of_a_model_is_named(
    between: Between, address: str, answer: Response, told: str
) -> None:
    between.answers = [answer]
    with pytest.raises(ModelServerError, match=told) as error:
        DenseEncoder.load(address)
    assert address in str(error.value)
    assert "s3cret" not in str(error.value)


def test_facts_that_were_altered_are_refused(between: Between, address: str) -> None:
    import httpx

    facts = httpx.get(f"{address}/v1/models").json()
    facts["data"][0]["vdr"]["checkpoint"]["page_prompt"] += "!"
    between.answers = [JSONResponse(facts)]
    with pytest.raises(ModelServerError, match="another digest"):
        DenseEncoder.load(address)


@pytest.mark.parametrize("change", ["shape", "dtype", "count", "bytes"])
def test_vectors_that_cannot_be_right_are_refused(
    between: Between, address: str, change: str
) -> None:
    from safetensors.numpy import save

    encoder = DenseEncoder.load(address)
    bodies: dict[str, Callable[[], bytes]] = {
        "shape": lambda: save({"0": np.zeros(7, np.float32)}),
        "dtype": lambda: save({"0": np.zeros(512, np.float16)}),
        "count": lambda: save({str(n): np.zeros(512, np.float32) for n in range(2)}),
        "bytes": lambda: b"\x00" * 50,
    }
    between.answers = [Response(bodies[change]())]
    with pytest.raises(ModelServerError, match="something else than vectors"):
        encoder.encode_queries(["a"])


def test_errors_of_others_are_not_raised_as_if_they_were_ours(
    between: Between, address: str
) -> None:
    encoder = DenseEncoder.load(address)
    body = {"error": {"type": "IndexLockedError", "message": "x", "code": 400}}
    between.answers = [JSONResponse(body, status_code=400)]
    with pytest.raises(ModelServerError, match="HTTP 400"):
        encoder.encode_queries(["a"])


def test_a_key_is_not_sent_in_plain_text_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="https") as error:
        ServerAddress.of("http://gpu.example:8080/", key="s3cret")
    assert "s3cret" not in str(error.value)
    monkeypatch.setenv(KEY_VARIABLE, "s3cret")
    with pytest.raises(OptionError, match=ALLOW_INSECURE_VARIABLE):
        DenseEncoder.load("http://gpu.example:8080/")
    assert ServerAddress.of("https://gpu.example/vdr/", key=None).url == "https://gpu.example/vdr"
    assert ServerAddress.of("http://localhost:8080", key=None).key == "s3cret"
    monkeypatch.setenv(ALLOW_INSECURE_VARIABLE, "1")
    assert ServerAddress.of("http://gpu.example:8080", key=None).key == "s3cret"


def test_a_key_may_end_with_a_line_end_and_one_that_cannot_be_sent_is_refused(
    own: DenseEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(build_app(own, access=Access(key="s3cret\n"))) as address:
        for key in ("s3cret", "s3cret\r\n"):
            assert len(DenseEncoder.load(address, token=key).encode_queries(["a"])) == 1
        monkeypatch.setenv(KEY_VARIABLE, "s3cret\n")
        assert len(DenseEncoder.load(address).encode_queries(["a"])) == 1
    for key in ("schlüssel", "two words", "a\0b"):
        for use in (lambda: DenseEncoder.load(address, token=key), lambda: Access(key=key)):  # noqa: B023
            with pytest.raises(OptionError, match="cannot be sent") as error:
                use()
            assert key not in str(error.value)


def test_an_address_that_cannot_be_called_is_an_error_of_ours() -> None:
    with pytest.raises(ModelServerError, match="cannot be called"):
        DenseEncoder.load("http://127.0.0.1\0:1")


def test_a_server_without_tls_is_not_waited_for(address: str) -> None:
    secure = address.replace("http://", "https://")
    with pytest.raises(ModelServerError, match=r"cannot be called .*SSL.*https"):
        DenseEncoder.load(secure)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1", "socksio"),
        ("HTTP_PROXY", "ftp://name:s3cret@127.0.0.1:1", "ValueError"),
        ("HTTP_PROXY", "http://name:s3cret:1:2", "InvalidURL"),
        ("SSL_CERT_FILE", "/there/is/no/such.pem", "No such file"),
    ],
)
def test_settings_that_no_connection_can_be_made_with_are_named(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("ALL_PROXY", "HTTP_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.lower(), raising=False)
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(name, value)
    with pytest.raises(ModelServerError, match=told) as error:
        DenseEncoder.load("http://gpu.invalid:8080")
    assert name in str(error.value)
    assert "s3cret" not in str(error.value)


def test_pages_are_packed_on_their_way_to_another_machine(
    between: Between, address: str, own: DenseEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    pack = zlib.compress

    def packed(data: bytes, level: int) -> bytes:
        found = pack(data, level)
        seen.append(len(data) // len(found))
        return found

    monkeypatch.setattr(zlib, "compress", packed)
    monkeypatch.setattr(ServerAddress, "is_here", False)
    page = Image.new("RGB", (280, 280), "white")
    found = DenseEncoder.load(address).encode_pages([page])
    np.testing.assert_allclose(found, own.encode_pages([page]), atol=1e-5)
    assert len(seen) == 1
    assert seen[0] > 10


async def test_what_nobody_waits_for_is_not_sent(between: Between, address: str) -> None:
    encoder = DenseEncoder.load(address)
    held: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    class Held(Response):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            loop.call_soon_threadsafe(held.put_nowait, None)
            while (await receive())["type"] != "http.disconnect":
                pass

    between.answers = [Held(), Held()]
    first = [asyncio.ensure_future(encoder.aencode_queries([f"{n}"])) for n in range(2)]
    for _ in first:  # so many requests are on their way at a time
        await held.get()
    last = asyncio.ensure_future(encoder.aencode_queries(["last"]))
    await asyncio.sleep(0)
    last.cancel()
    for one in first:
        one.cancel()
    done = await asyncio.gather(*first, last, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in done)
    assert (await encoder.aencode_queries(["next"])).shape == (1, 512)


class HeldUntilGone(Response):
    """Answers nothing, and notes when it is asked and when the client is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)
        self.gone = threading.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.release()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.release()


async def test_all_windows_of_a_caller_that_leaves_are_given_up(
    between: Between, address: str
) -> None:
    encoder = DenseEncoder.load(address)
    held = HeldUntilGone()
    between.answers = [held, held]
    task = asyncio.ensure_future(encoder.aencode_pages([Image.new("RGB", (56, 56))] * 40))
    for _ in range(2):
        assert await asyncio.to_thread(held.asked.acquire, timeout=HANG_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(2):
        assert await asyncio.to_thread(held.gone.acquire, timeout=HANG_S)


def test_pages_before_one_that_cannot_be_read_are_given_up(between: Between, address: str) -> None:
    encoder = DenseEncoder.load(address)
    held = HeldUntilGone()
    between.answers = [held]

    def pages() -> Iterator[Image.Image]:
        for _ in range(8):  # a window
            yield Image.new("RGB", (280, 280))
        assert held.asked.acquire(timeout=HANG_S)
        raise LookupError

    with pytest.raises(LookupError):
        encoder.encode_pages(pages())
    assert held.gone.acquire(timeout=HANG_S)
