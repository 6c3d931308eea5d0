"""The server's own promises: forms of OpenAI and vLLM, limits, keys, and what it counts."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
import zlib
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.patience import HANG_S, LoopTurns
from tests.serving import serving

from vdr_integrations import DenseEncoder, MultiVectorEncoder
from vdr_integrations.encoders.elsewhere.plain_items import PlainPage
from vdr_integrations.encoders.elsewhere.wire import pages_body
from vdr_integrations.errors import OptionError
from vdr_integrations.serve import (
    Access,
    ServeLimits,
    build_app,
    openai_bodies,
    request_reading,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.usefixtures("loopback", "seen_pages")

KEY = "s3cret-key-0123456789"
TEXTS = ["How did revenue change?", "Was kostet es?"]


@pytest.fixture(scope="module")
def dense() -> DenseEncoder:
    return DenseEncoder.load("nano", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def late() -> MultiVectorEncoder:
    return MultiVectorEncoder.load("nano-colqwen2", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def address(dense: DenseEncoder) -> Iterator[str]:
    with serving(build_app(dense)) as address:
        yield address


@pytest.fixture(scope="module")
def late_address(late: MultiVectorEncoder) -> Iterator[str]:
    with serving(build_app(late)) as address:
        yield address


def picture(colour: str = "navy") -> Image.Image:
    return Image.new("RGB", (84, 56), colour)


def data_url(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def post(url: str, body: Any, **options: Any) -> httpx.Response:
    return httpx.post(url, json=body, timeout=HANG_S, **options)


def message(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    return error["message"]


def test_embeddings_are_openais_and_the_encoders(address: str, dense: DenseEncoder) -> None:
    body = {"model": "nano", "input": [*TEXTS, data_url(picture())]}
    found = post(f"{address}/v1/embeddings", body).json()
    assert (found["object"], found["model"]) == ("list", "nano")
    assert [one["index"] for one in found["data"]] == [0, 1, 2]
    vectors = np.array([one["embedding"] for one in found["data"]], np.float32)
    np.testing.assert_allclose(vectors[:2], dense.encode_queries(TEXTS), atol=1e-5)
    np.testing.assert_allclose(vectors[2:], dense.encode_pages([picture()]), atol=1e-5)
    assert found["usage"]["prompt_tokens"] == found["usage"]["total_tokens"] > 20


def test_a_data_url_may_be_in_capitals_and_a_text_about_data_is_a_text(
    address: str, dense: DenseEncoder
) -> None:
    url, text = data_url(picture()), "data: the new oil; base64, too"
    url = url.replace("data:image/png;base64", "DATA:Image/PNG;BASE64")
    found = post(f"{address}/v1/embeddings", {"input": [url, text]}).json()["data"]
    vectors = np.array([one["embedding"] for one in found], np.float32)
    np.testing.assert_allclose(vectors[:1], dense.encode_pages([picture()]), atol=1e-5)
    np.testing.assert_allclose(vectors[1:], dense.encode_queries([text]), atol=1e-5)


def test_embeddings_may_be_base64_and_shorter(address: str, dense: DenseEncoder) -> None:
    body = {"input": TEXTS[0], "dimensions": 64, "encoding_format": "base64"}
    (one,) = post(f"{address}/v1/embeddings", body).json()["data"]
    vector = np.frombuffer(base64.b64decode(one["embedding"]), "<f4")
    whole = dense.encode_queries(TEXTS[:1])[0][:64]
    np.testing.assert_allclose(vector, whole / np.linalg.norm(whole), atol=1e-5)


def test_pooling_is_vllms_for_multi_vectors(late_address: str, late: MultiVectorEncoder) -> None:
    texts = {"input": TEXTS, "task": "token_embed"}
    page = {
        "task": "token_embed",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": data_url(picture())}},
                    {"type": "text", "text": "Describe the image."},
                ],
            }
        ],
        "encoding_format": "base64",
    }
    found = post(f"{late_address}/pooling", texts).json()["data"]
    for one, expected in zip(found, late.encode_queries(TEXTS), strict=True):
        assert one["object"] == "pooling"
        np.testing.assert_allclose(np.array(one["data"], np.float32), expected, atol=1e-5)
    (one,) = post(f"{late_address}/pooling", page).json()["data"]
    matrix = np.frombuffer(base64.b64decode(one["data"]), "<f4").reshape(-1, late.dimension)
    np.testing.assert_allclose(matrix, late.encode_pages([picture()])[0], atol=1e-5)


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/v1/embeddings", {"input": []}, 400, "at least one"),
        ("/v1/embeddings", {"input": [1, 2]}, 400, "input"),
        ("/v1/embeddings", {"input": "a", "dimensions": 0}, 400, "dimensions"),
        ("/v1/embeddings", {"input": "a", "dimensions": 513}, 400, "between 1 and 512"),
        ("/v1/embeddings", {"input": "a", "encoding_format": "int8"}, 400, "encoding_format"),
        ("/v1/embeddings", {"input": "a", "model": "gpt"}, 404, "this server runs nano"),
        ("/v1/embeddings", {"input": "word " * 9000}, 400, "4096"),
        ("/v1/embeddings", {"input": "data:image/png;base64,AAAA"}, 400, "image"),
        ("/v1/embeddings", {"input": "data:application/pdf;base64,AAAA"}, 400, "data:image/"),
        ("/v1/embeddings", {"input": "DATA:;charset=x;base64,AAAA"}, 400, "data:image/"),
        ("/v1/embeddings", {"input": ["a"] * 129}, 413, "at most 128"),
        ("/v1/embeddings", {"input": "a", "unknown": 1}, 400, "unknown"),
        ("/pooling", {"input": "a", "task": "token_embed"}, 400, "embed"),
        ("/pooling", {"input": "a", "messages": []}, 400, "one of them"),
        ("/pooling", {"messages": []}, 400, "no image and no text"),
        ("/pooling", {}, 400, "no texts"),
        ("/vdr/queries", {"texts": []}, 400, "at least one"),
        ("/vdr/queries", {"texts": [1]}, 400, "texts"),
        ("/vdr/query_tokens", {"text": "a"}, 400, "one vector a page"),
        ("/nothing", {}, 404, "nothing"),
        ("/metrics", {}, 405, "not allowed"),
    ],
)
def test_a_request_that_cannot_be_used_is_refused(
    address: str, path: str, body: Any, status: int, told: str
) -> None:
    answer = post(address + path, body)
    assert answer.status_code == status
    assert told in message(answer)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x.png", "https://x/x.png", "file:///etc/passwd", "/etc/passwd"]
)
def test_nothing_is_fetched_for_a_request(address: str, url: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": url}}]
    answer = post(f"{address}/pooling", {"messages": [{"role": "user", "content": content}]})
    assert answer.status_code == 400
    assert "nothing is fetched" in message(answer)
    vector = post(f"{address}/v1/embeddings", {"input": url}).json()["data"][0]["embedding"]
    assert len(vector) == 512  # a text like any other


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (np.zeros((28, 30, 3), np.uint8), "multiples of 28"),
        (np.zeros((28, 28, 4), np.uint8), "(height, width, 3)"),
        (np.zeros((28, 28, 3), np.float32), "uint8"),
        (np.zeros((0, 28, 3), np.uint8), "multiples of 28"),
        (np.zeros((28 * 70, 28 * 70, 3), np.uint8), "visual tokens"),
    ],
)
def test_pixels_that_the_model_cannot_take_are_refused(
    address: str, pixels: np.ndarray, told: str
) -> None:
    answer = httpx.post(f"{address}/vdr/pages", content=pages_body([PlainPage(pixels)]))
    assert answer.status_code == 400
    assert told in message(answer)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 400),
        (b"\xff" * 64, {}, 400),
        (b"x", {"content-encoding": "gzip"}, 415),
        (b"x", {"content-encoding": "deflate"}, 400),
        (zlib.compress(b"x" * 1000)[:-4], {"content-encoding": "deflate"}, 400),
        (b"{}", {"vdr-budget": "-1"}, 400),
        (b"{}", {"vdr-model": "another"}, 409),
    ],
)
def test_bodies_that_cannot_be_read_are_refused(
    address: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = httpx.post(f"{address}/vdr/pages", content=content, headers=headers)
    assert answer.status_code == status
    assert message(answer)


def test_bodies_are_limited_also_when_they_are_unpacked(dense: DenseEncoder) -> None:
    limits = ServeLimits(request_bytes=10_000, bodies_bytes=20_000)
    with serving(build_app(dense, limits=limits)) as address:
        url = f"{address}/vdr/pages"
        for content, headers, status in (
            (b"x" * 10_001, {}, 413),
            (zlib.compress(bytes(10_000_000)), {"content-encoding": "deflate"}, 400),
        ):
            answer = httpx.post(url, content=content, headers=headers)
            assert answer.status_code == status
            assert "fewer pages" in message(answer)


def test_bodies_of_all_requests_have_room_together(dense: DenseEncoder) -> None:
    limits = ServeLimits(request_bytes=10_000, bodies_bytes=20_000)
    with serving(build_app(dense, limits=limits)) as address, Held(dense) as held:
        url, padding = f"{address}/v1/embeddings", "x" * 8_000
        bodies = [{"input": f"{n}", "user": padding} for n in range(2)]
        threads = [threading.Thread(target=post, args=(url, body)) for body in bodies]
        for thread in threads:
            thread.start()
        while counted(address, "vdr_queue_items") < 2:
            pass
        refused = post(url, {"input": "one too many", "user": padding})
        assert refused.status_code == 503
        assert "room for 20000" in message(refused)
        held.go_on.set()
        for thread in threads:
            thread.join(HANG_S)
        assert post(url, {"input": "again", "user": padding}).status_code == 200


def test_a_body_that_never_comes_is_given_up(
    dense: DenseEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_reading, "SLOWEST_S", 0.2)
    with serving(build_app(dense)) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), HANG_S) as slow:
            head = "POST /vdr/pages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n123"
            slow.sendall(head.encode())
            assert slow.recv(1000).startswith(b"HTTP/1.1 408")
        assert httpx.get(f"{address}/healthz").status_code == 200


async def test_forms_of_others_do_not_stop_the_server(dense: DenseEncoder) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(build_app(dense)), base_url="http://localhost"
    ) as client:
        turns, core = LoopTurns(), dense.model_here
        body = {"input": [data_url(picture()), "word " * 500]}
        with (
            mock.patch.object(core, "prepare_image", turns.needed_by(core.prepare_image)),
            mock.patch.object(core, "prepare_query", turns.needed_by(core.prepare_query)),
            mock.patch.object(
                openai_bodies, "unopened_image", turns.needed_by(openai_bodies.unopened_image)
            ),
        ):
            assert (await client.post("/v1/embeddings", json=body)).status_code == 200
        assert turns.during == {"prepare_image": 1, "prepare_query": 1, "unopened_image": 1}


def test_models_say_what_vectors_are_comparable(address: str, dense: DenseEncoder) -> None:
    (model,) = httpx.get(f"{address}/v1/models").json()["data"]
    assert model["id"] == "nano"
    assert model["fingerprint"] == dense.fingerprint
    assert model["max_visual_tokens"] == 768
    assert model["dimension"] == 512
    assert model["prompts"] == {
        "page": dense.checkpoint.page_prompt, "query": dense.checkpoint.query_prompt
    }  # fmt: skip
    assert httpx.get(f"{address}/healthz").json() == {"status": "ok"}


def counted(address: str, name: str, headers: dict[str, str] | None = None) -> float:
    lines = httpx.get(f"{address}/metrics", headers=headers).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


class Held:
    """Holds the passes of a model until they are let go."""

    def __init__(self, encoder: DenseEncoder) -> None:
        self._backbone = encoder.model_here.backbone
        self._run = self._backbone.queries
        self.texts = 0
        self.began = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __call__(self, queries: Sequence[Any]) -> Any:
        self.began.release()
        assert self.go_on.wait(HANG_S)
        self.texts += len(queries)
        return self._run(queries)

    def __enter__(self) -> Self:
        self._patch = mock.patch.object(self._backbone, "queries", self)
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._patch.stop()


def test_requests_of_all_clients_share_batches_and_the_queue_is_bounded(
    dense: DenseEncoder,
) -> None:
    limits = ServeLimits(queue_items=6, request_items=5)
    with serving(build_app(dense, limits=limits)) as address, Held(dense) as held:
        answers: list[int] = []

        def send(path: str, body: dict[str, Any]) -> None:
            answers.append(post(f"{address}/{path}", body).status_code)

        threads = [
            threading.Thread(target=send, args=("vdr/queries", {"texts": [f"{n}"]}))
            for n in range(6)
        ]
        threads[0].start()
        assert held.began.acquire(timeout=HANG_S)
        for thread in threads[1:]:
            thread.start()
        while counted(address, "vdr_queue_items") < 6:
            pass
        refused = post(f"{address}/vdr/queries", {"texts": ["one too many"]})
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "room for 6" in message(refused)
        page = threading.Thread(target=send, args=("v1/embeddings", {"input": data_url(picture())}))
        page.start()  # what asks does not take the room of what is indexed
        while counted(address, "vdr_queue_items") < 7:
            pass
        held.go_on.set()
        for thread in (*threads, page):
            thread.join(HANG_S)
        assert answers == [200] * 7
        assert counted(address, 'vdr_batch_items_count{kind="queries"}') == 2  # the first, the rest
        assert counted(address, 'vdr_batch_requests_sum{kind="queries"}') == 6
        assert counted(address, 'vdr_encoded_total{kind="queries"}') == 6
        assert counted(address, 'vdr_encoded_total{kind="pages"}') == 1
        assert counted(address, "vdr_queue_items") == 0
        assert counted(address, 'vdr_requests_total{path="/vdr/queries",status="503"}') == 1


def test_a_client_that_leaves_takes_its_work_with_it(dense: DenseEncoder) -> None:
    with serving(build_app(dense)) as address, Held(dense) as held:
        first = threading.Thread(target=post, args=(f"{address}/vdr/queries", {"texts": ["first"]}))
        first.start()
        assert held.began.acquire(timeout=HANG_S)
        with httpx.Client() as client, pytest.raises(httpx.ReadTimeout):
            client.post(f"{address}/vdr/queries", json={"texts": ["a", "b"]}, timeout=0.5)
        while counted(address, "vdr_queue_items") > 1:
            pass
        held.go_on.set()
        first.join(HANG_S)
        assert post(f"{address}/vdr/queries", {"texts": ["last"]}).status_code == 200
        assert held.texts == 2  # the first and the last


def test_a_server_with_a_key_serves_nobody_else(dense: DenseEncoder) -> None:
    with serving(build_app(dense, access=Access(host="0.0.0.0", key=KEY))) as address:
        for given in (None, "Bearer wrong", f"Basic {KEY}", "Bearer"):
            headers = {} if given is None else {"authorization": given}
            for path in ("/v1/models", "/metrics", "/vdr/queries"):
                answer = httpx.get(address + path, headers=headers)
                assert answer.status_code == 401
                assert KEY not in answer.text
        assert httpx.get(f"{address}/healthz").status_code == 200
        right = {"authorization": f"Bearer {KEY}", "host": "gpu.example"}
        assert httpx.get(f"{address}/v1/models", headers=right).status_code == 200


def test_a_server_without_a_key_stays_on_this_machine(dense: DenseEncoder, address: str) -> None:
    with pytest.raises(OptionError, match="VDR_SERVER_KEY"):
        Access(host="0.0.0.0")
    for name in ("stranger.example", "127.0.0.1.stranger.example", ""):
        answer = httpx.get(f"{address}/v1/models", headers={"host": name})
        assert answer.status_code == 403
    for name in ("localhost:8080", "127.0.0.1", "[::1]:80"):
        assert httpx.get(f"{address}/v1/models", headers={"host": name}).status_code == 200
    named = Access(allowed_hosts=("gpu.example",))
    with serving(build_app(dense, access=named)) as other:
        answer = httpx.get(f"{other}/v1/models", headers={"host": "gpu.example:80"})
        assert answer.status_code == 200


@pytest.mark.parametrize("key", ["", " \n"])
def test_an_empty_key_is_no_key(key: str, dense: DenseEncoder) -> None:
    with pytest.raises(OptionError, match="there is no key"):
        Access(host="0.0.0.0", key=key)
    with serving(build_app(dense, access=Access(key=key))) as address:
        headers = {"authorization": "Bearer", "host": "stranger.example"}
        assert httpx.get(f"{address}/v1/models", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("allowed", "called"),
    [
        ("Gpu.Example", "gpu.example"),
        ("gpu.example:8080", "gpu.example:8080"),
        ("::2", "[::2]:80"),
        ("[::2]:80", "[::2]"),
        ("münchen.example", "xn--mnchen-3ya.example"),
    ],
)
def test_an_allowed_host_may_be_written_as_people_do(
    allowed: str, called: str, dense: DenseEncoder
) -> None:
    with serving(build_app(dense, access=Access(allowed_hosts=(allowed,)))) as address:
        assert httpx.get(f"{address}/healthz", headers={"host": called}).status_code == 200


@pytest.mark.parametrize("host", ["http://gpu.example", "", "gpu.example/vdr"])
def test_an_allowed_host_that_is_no_name_is_refused(host: str) -> None:
    with pytest.raises(OptionError, match="no name"):
        Access(allowed_hosts=(host,))


def test_limits_with_which_nothing_can_be_done_are_refused() -> None:
    for limits in (
        {"queue_items": 0},
        {"request_items": 0},
        {"queue_items": 5},
        {"bodies_bytes": 1},
    ):
        with pytest.raises(OptionError):
            ServeLimits(**limits)


def test_a_body_of_json_that_nests_is_refused(address: str) -> None:
    deep = json.dumps({"input": "a"})[:-1] + ', "user": ' + "[" * 100_000 + "]" * 100_000 + "}"
    answer = httpx.post(f"{address}/v1/embeddings", content=deep)
    assert answer.status_code == 400
