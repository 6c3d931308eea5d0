"""What a server with an index answers: hits, pictures and heat maps, and nothing but its pages."""

from __future__ import annotations

import asyncio
import io
import shutil
import threading
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.patience import HANG_S, LoopTurns
from tests.pdfs import write_pdf
from tests.serve.conftest import NASTY
from tests.serving import serving

from vdr_integrations import PageSearcher
from vdr_integrations.errors import IndexMismatchError, OptionError
from vdr_integrations.index import Compression, DenseIndex, LateInteractionIndex, sync_index
from vdr_integrations.retrieval import PagePictures
from vdr_integrations.retrieval.heat_colours import finer
from vdr_integrations.retrieval.main_words import main_words
from vdr_integrations.serve import Access, ServeLimits, build_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vdr_integrations import DenseEncoder, MultiVectorEncoder

pytestmark = pytest.mark.usefixtures("loopback", "seen_pages")

KEY = "s3cret-key-0123456789"
QUESTION = "How did revenue change?"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def searcher(late: MultiVectorEncoder, late_folder: Path, store: Path) -> PageSearcher:
    return PageSearcher(late_folder, encoder=late, page_store=store)


@pytest.fixture(scope="module")
def dense_searcher(dense: DenseEncoder, dense_folder: Path, store: Path) -> PageSearcher:
    return PageSearcher(dense_folder, encoder=dense, page_store=store)


@pytest.fixture(scope="module")
def address(late: MultiVectorEncoder, searcher: PageSearcher) -> Iterator[str]:
    with serving(build_app(late, searcher=searcher)) as address:
        yield address


@pytest.fixture(scope="module")
def dense_address(dense: DenseEncoder, dense_searcher: PageSearcher) -> Iterator[str]:
    with serving(build_app(dense, searcher=dense_searcher)) as address:
        yield address


def ask(address: str, question: str = QUESTION, **options: Any) -> httpx.Response:
    body = {"question": question, **options}
    return httpx.post(f"{address}/search", json=body, timeout=HANG_S)


def told(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    return error["message"]


def image_in(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    assert answer.headers["content-type"] == f"image/{(image.format or '').lower()}"
    return image


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.int64)


@pytest.mark.parametrize("kind", ["late", "dense"])
def test_hits_are_those_of_the_searcher(kind: str, request: pytest.FixtureRequest) -> None:
    late = kind == "late"
    address = request.getfixturevalue("address" if late else "dense_address")
    searcher = request.getfixturevalue("searcher" if late else "dense_searcher")
    searches: list[dict[str, Any]] = [
        {},
        {"k": 2},
        {"hybrid": True},
        {"filter": {"page_number": {"gte": 2}}},
    ]
    reply: dict[str, Any] = {}
    for options in searches:
        answer = ask(address, **options)
        assert answer.status_code == 200, answer.text
        reply, expected = answer.json(), searcher.search(QUESTION, **options)
        assert reply["question"] == QUESTION
        assert len(reply["hits"]) == len(expected) > 0
        for found, hit in zip(reply["hits"], expected, strict=True):
            assert found["score"] == pytest.approx(hit.score, abs=1e-5)
            for name in ("source", "page_number", "page_id", "page_ref", "score_kind"):
                assert found[name] == getattr(hit, name)
        assert reply["score_kind"] == expected[0].score_kind
    assert reply["hits"][0]["citation"].startswith("report.pdf, page ")
    tokens = len(searcher.encoder.query_tokens(QUESTION)) if late else None
    assert reply["highest_score"] == (tokens or 1)
    facts = httpx.get(f"{address}/search").json()
    assert (facts["pages"], facts["heat_maps"], facts["most_hits"]) == (4, late, 50)


def test_words_match_as_in_the_heat_map_and_the_report(
    address: str, searcher: PageSearcher
) -> None:
    reply, hits = ask(address).json(), searcher.search(QUESTION)
    heat_maps = [hit.heatmap() for hit in hits]
    words = heat_maps[0].words
    assert [word["text"] for word in reply["words"]] == [word.text for word in words]
    main = main_words(heat_maps)
    assert [word["is_main"] for word in reply["words"]] == [word in main for word in words]
    for found, heat in zip(reply["hits"], heat_maps, strict=True):
        peaks = [heat.peak(word) for word in heat.words]
        assert [word["match"] for word in found["words"]] == pytest.approx(peaks, abs=1e-4)
        assert found["picture_size"] == list(heat.page.size)
    best = reply["hits"][0]
    assert best["excerpt"] == "Revenue grew"
    assert best["excerpt_pieces"] == [["Revenue", True], [" grew", False]]


def test_pictures_are_those_that_were_indexed(address: str, searcher: PageSearcher) -> None:
    hit = searcher.search(QUESTION, k=1)[0]
    indexed = searcher.pictures.indexed(hit).image
    base = f"{address}/pages/{hit.page_id}"
    exact = image_in(httpx.get(f"{base}.png"))
    assert np.array_equal(pixels(exact), pixels(indexed))
    near = image_in(httpx.get(f"{base}.webp"))
    assert np.abs(pixels(near) - pixels(indexed)).mean() < 6
    small = image_in(httpx.get(f"{base}.png", params={"width": 100}))
    assert small.size == (100, round(indexed.height * 100 / indexed.width))
    large = image_in(httpx.get(f"{base}.png", params={"width": 900}))
    assert large.width == pytest.approx(900, abs=2)  # drawn again, and so it is sharper
    assert large.height / large.width == pytest.approx(200 / 300, abs=0.01)


def test_a_picture_that_the_browser_has_is_not_sent_again(address: str) -> None:
    hit = ask(address, k=1).json()["hits"][0]
    url = f"{address}/{hit['picture_url']}"
    first = httpx.get(url)
    tag = first.headers["etag"]
    again = httpx.get(url, headers={"if-none-match": tag})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert httpx.get(f"{url}&width=90", headers={"if-none-match": tag}).status_code == 200
    for answer in (first, again):
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_heat_maps_are_those_of_the_hit(address: str, searcher: PageSearcher) -> None:
    hit = searcher.search(QUESTION, k=1)[0]
    heat = hit.heatmap()
    url = f"{address}/{ask(address, k=1).json()['hits'][0]['heat_url']}"
    words = [word.text for word in heat.words]
    for numbers, chosen in (
        ([], None),
        ([2], (words[2],)),
        ([0, 2], (words[0], words[2])),
    ):
        answer = httpx.get(url + "".join(f"&word={n}" for n in numbers))
        expected = finer(heat.overlay(chosen))
        assert np.array_equal(pixels(image_in(answer)), pixels(expected))
        assert answer.headers["vdr-blend"] == "multiply"


def test_a_dense_index_has_pictures_and_no_heat_maps(
    dense_address: str, dense_searcher: PageSearcher
) -> None:
    reply = ask(dense_address).json()
    assert reply["words"] == []
    for hit in reply["hits"]:
        assert (hit["words"], hit["heat_url"], hit["picture_size"]) == (None, None, None)
    best = dense_searcher.search(QUESTION, k=1)[0]
    picture = image_in(httpx.get(f"{dense_address}/pages/{best.page_id}.png"))
    assert np.array_equal(pixels(picture), pixels(dense_searcher.pictures.indexed(best).image))
    answer = httpx.get(f"{dense_address}/pages/{best.page_id}/heat", params={"question": "a"})
    assert answer.status_code == 400
    assert "one vector a page" in told(answer)


def test_tokens_that_were_pooled_have_heat_maps_when_they_are_asked_for(
    late: MultiVectorEncoder, docs: Path, tmp_path: Path
) -> None:
    pooled = Compression(token_pooling=2)
    with LateInteractionIndex.create(tmp_path / "ix", encoder=late, compression=pooled) as index:
        sync_index(index, late, [docs / "report.pdf"])
    searcher = PageSearcher(tmp_path / "ix", encoder=late, page_store=tmp_path / "store")
    with serving(build_app(late, searcher=searcher)) as address:
        reply = ask(address, k=1).json()
        assert [word["text"] for word in reply["words"]] == ["how", "did", "revenue", "change"]
        assert reply["hits"][0]["words"] is None
        answer = httpx.get(f"{address}/{reply['hits'][0]['heat_url']}&word=2", timeout=HANG_S)
        heat = searcher.search(QUESTION, k=1)[0].heatmap()
        assert np.array_equal(pixels(image_in(answer)), pixels(finer(heat.overlay("revenue"))))


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({}, "question"),
        ({"question": ""}, "the question is empty"),
        ({"question": " \n "}, "the question is empty"),
        ({"question": 5}, "question"),
        ({"question": "a" * 2001}, "2001 characters, and may have 2000"),
        ({"question": "a", "k": 0}, "k: "),
        ({"question": "a", "k": 51}, "k must be from 1 to 50, found 51"),
        ({"question": "a", "k": "5"}, "k: "),
        ({"question": "a", "filter": {"sauce": "x"}}, "found 'sauce'"),
        ({"question": "a", "filter": []}, "filter"),
        ({"question": "a", "hybrid": "yes"}, "hybrid"),
        ({"question": "a", "path": "/etc/passwd"}, "path"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused(address: str, body: Any, part: str) -> None:
    answer = httpx.post(f"{address}/search", json=body)
    assert answer.status_code == 400
    assert part in told(answer)


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"question": "\\ud800"}', b'{"question": "\xff"}', b"x" * 300_000]
)
def test_a_body_that_is_no_search_is_refused(address: str, content: bytes) -> None:
    answer = httpx.post(f"{address}/search", content=content)
    assert answer.status_code in {400, 413}
    assert told(answer)


def test_only_pages_of_the_index_are_shown(address: str, docs: Path) -> None:
    page = ask(address, k=1).json()["hits"][0]
    known, unknown = page["page_id"], "00000000-0000-5000-8000-000000000000"
    for path in (
        f"/pages/{unknown}.webp",
        f"/pages/{unknown}/heat?question=a",
        f"/pages/{known}.gif",
        f"/pages/{known}",
        f"/pages/{known}.webp%00",
        f"/pages/{known.upper()}.webp",
        "/pages/../../../../etc/passwd",
        "/pages/..%2f..%2f..%2fetc%2fpasswd.png",
        "/pages/%2e%2e/heat?question=a",
        f"/pages/{docs}/report.pdf.png",
        f"/pages/{str(docs / 'report.pdf').replace('/', '%2f')}.png",
        f"/pages/{page['page_ref']}.png",
        "/web/..%2faccess.py",
        "/web/access.py",
    ):
        answer = httpx.get(address + path)
        assert answer.status_code == 404, path
        assert told(answer)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        (".webp?width=0", "from 64 to 2000"),
        (".webp?width=2001", "from 64 to 2000"),
        (".webp?width=1e9", "from 64 to 2000"),
        (".webp?width=" + "9" * 5000, "from 64 to 2000"),
        ("/heat", "the question is empty"),
        ("/heat?question=" + "a" * 2001, "may have 2000"),
        ("/heat?question=a&word=x", "word must be the number"),
        ("/heat?question=a&word=-1", "word must be the number"),
        ("/heat?question=a&word=7", "found [7]"),
        ("/heat?question=a" + "&word=0" * 201, "up to 200 times"),
    ],
)
def test_a_picture_that_cannot_be_made_is_refused(address: str, path: str, part: str) -> None:
    page = ask(address, k=1).json()["hits"][0]["page_id"]
    answer = httpx.get(f"{address}/pages/{page}{path}")
    assert answer.status_code == 400
    assert part in told(answer)


def test_hostile_names_and_texts_are_cleaned_and_never_html(address: str) -> None:
    answer = ask(address, "Lemonade", k=1)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    (hit,) = answer.json()["hits"]
    assert hit["source"].endswith(f"{NASTY}.pdf")  # as it is: filters need it
    shown = NASTY.replace("\u202e", "")
    assert hit["file_name"] == f"{shown}.pdf"
    assert hit["citation"] == f"{shown}.pdf, page 1 of 1"
    assert hit["document"].endswith(f"/{shown}.pdf")


def test_a_server_with_a_key_shows_the_page_and_nothing_else_without_it(
    late: MultiVectorEncoder, searcher: PageSearcher
) -> None:
    app = build_app(late, searcher=searcher, access=Access(host="0.0.0.0", key=KEY))
    with serving(app) as address:
        right = {"authorization": f"Bearer {KEY}"}
        found = httpx.post(
            f"{address}/search", json={"question": QUESTION}, headers=right, timeout=HANG_S
        )
        hit = found.json()["hits"][0]
        paths = [hit["picture_url"], hit["heat_url"], "search"]
        for path in paths:
            for headers in ({}, {"authorization": "Bearer wrong"}):
                answer = httpx.get(f"{address}/{path}", headers=headers)
                assert answer.status_code == 401
                assert KEY not in answer.text
            assert httpx.get(f"{address}/{path}&key={KEY}").status_code == 401
            assert httpx.get(f"{address}/{path}", headers=right).status_code == 200
        assert httpx.post(f"{address}/search", json={"question": "a"}).status_code == 401
        for path in ("", "?q=a", "web/main.js", "web/look.css"):
            assert httpx.get(f"{address}/{path}").status_code == 200


def test_it_can_be_mounted_in_another_application(
    late: MultiVectorEncoder, searcher: PageSearcher
) -> None:
    app = build_app(late, searcher=searcher, access=Access(host="0.0.0.0", key=KEY))
    with serving(Starlette(routes=[Mount("/vdr", app)])) as address:
        assert httpx.get(f"{address}/vdr/").status_code == 200
        assert httpx.get(f"{address}/vdr/web/main.js").status_code == 200
        assert httpx.get(f"{address}/vdr/search").status_code == 401
        right = {"authorization": f"Bearer {KEY}"}
        assert httpx.get(f"{address}/vdr/search", headers=right).json()["pages"] == 4


def test_metrics_count_by_route_and_not_by_page(address: str) -> None:
    for hit in ask(address, k=3).json()["hits"]:
        httpx.get(f"{address}/{hit['picture_url']}")
        httpx.get(f"{address}/{hit['heat_url']}")
    httpx.get(f"{address}/made-up")
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    paths = {
        line.split('path="')[1].split('"')[0]
        for line in lines
        if line.startswith("vdr_requests_total")
    }
    assert {"/search", "/pages/{picture}", "/pages/{page_id}/heat", "other"} <= paths
    assert not [path for path in paths if "-" in path]


def test_without_an_index_there_is_no_page(dense: DenseEncoder) -> None:
    with serving(build_app(dense)) as address:
        for path in ("", "search", "web/main.js"):
            assert httpx.get(f"{address}/{path}").status_code == 404


def test_the_encoder_of_a_search_is_the_one_that_is_served(
    dense: DenseEncoder, late: MultiVectorEncoder, late_folder: Path, dense_folder: Path
) -> None:
    with pytest.raises(OptionError, match="an encoder of its own"):
        build_app(dense, searcher=PageSearcher(late_folder, encoder=late))
    with pytest.raises(OptionError, match="an encoder of its own"):
        build_app(dense, searcher=PageSearcher(dense_folder))
    with pytest.raises((IndexMismatchError, OptionError), match="MultiVectorEncoder"):
        build_app(dense, searcher=PageSearcher(late_folder, encoder=dense))


def test_what_has_changed_since_a_search_is_told_and_never_shown(
    late: MultiVectorEncoder, tmp_path: Path
) -> None:
    file = write_pdf(tmp_path / "docs" / "a.pdf", ["Apples"])
    folder = tmp_path / "ix"

    def index() -> None:
        with LateInteractionIndex.create(folder, encoder=late) as made:
            sync_index(made, late, [tmp_path / "docs"])

    index()
    searcher = PageSearcher(folder, encoder=late, page_store=tmp_path / "store")
    with serving(build_app(late, searcher=searcher)) as address:
        (old,) = ask(address, "Apples").json()["hits"]
        urls = [f"{address}/{old[name]}" for name in ("picture_url", "heat_url")]
        assert [httpx.get(url).status_code for url in urls] == [200, 200]
        write_pdf(file, ["Pears"])
        with LateInteractionIndex.open(folder) as opened:
            sync_index(opened, late, [tmp_path / "docs"])
        for url in urls:
            answer = httpx.get(url)
            assert (answer.status_code, answer.json()["error"]["type"]) == (
                404, "PageReferenceError"
            )  # fmt: skip
            assert "indexed again since it was found" in told(answer)
        (new,) = ask(address, "Apples").json()["hits"]
        assert new["excerpt"] == "Pears"
        assert httpx.get(f"{address}/{new['picture_url']}").status_code == 200
        write_pdf(file, ["Cherries"])  # changed, and not indexed yet; its picture is in no store
        missing = httpx.get(f"{address}/{new['picture_url']}")
        assert missing.status_code == 404
        assert "index the document again" in told(missing)
        shutil.rmtree(folder)
        for answer in (ask(address, "Apples"), httpx.get(f"{address}/{new['picture_url']}")):
            assert answer.status_code in {404, 500}
            assert answer.json()["error"]["type"].startswith("Index")
        index()
        assert ask(address, "Cherries").json()["hits"][0]["excerpt"] == "Cherries"


def test_an_empty_index_has_no_hits(late: MultiVectorEncoder, tmp_path: Path) -> None:
    LateInteractionIndex.create(tmp_path / "ix", encoder=late).close()
    with serving(build_app(late, searcher=PageSearcher(tmp_path / "ix", encoder=late))) as address:
        reply = ask(address).json()
        assert (reply["hits"], reply["score_kind"]) == ([], "")
        assert httpx.get(f"{address}/search").json()["pages"] == 0


class Held:
    """Holds pictures until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.most = self._now = 0
        indexed, lock = PagePictures.indexed, threading.Lock()

        def held(pictures: PagePictures, page: Any) -> Any:
            with lock:
                self._now += 1
                self.most = max(self.most, self._now)
            self.began.release()
            assert self.go_on.wait(HANG_S)
            with lock:
                self._now -= 1
            return indexed(pictures, page)

        monkeypatch.setattr(PagePictures, "indexed", held)


def test_pictures_that_are_drawn_at_a_time_are_few_and_too_many_are_refused(
    late: MultiVectorEncoder, searcher: PageSearcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = ServeLimits(pictures=2, waiting_pictures=5)
    with serving(build_app(late, searcher=searcher, limits=limits)) as address:
        url = f"{address}/{ask(address, k=1).json()['hits'][0]['picture_url']}"
        held = Held(monkeypatch)
        found: list[int] = []

        def get() -> None:
            found.append(httpx.get(url, timeout=HANG_S).status_code)

        threads = [threading.Thread(target=get) for _ in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            assert held.began.acquire(timeout=HANG_S)
        while not found:  # one of the six finds no room
            pass
        assert found == [503]
        assert ask(address, k=1).status_code == 200  # searches go on meanwhile
        held.go_on.set()
        for thread in threads:
            thread.join(HANG_S)
        assert sorted(found) == [200] * 5 + [503]
        assert held.most == 2


def test_too_many_searches_are_refused(
    late: MultiVectorEncoder, searcher: PageSearcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()
    stored = PageSearcher.stored

    def held(self: PageSearcher, page_ids: Any) -> Any:
        began.set()
        assert go_on.wait(HANG_S)
        return stored(self, page_ids)

    monkeypatch.setattr(PageSearcher, "stored", held)
    with serving(build_app(late, searcher=searcher, limits=ServeLimits(searches=1))) as address:
        first = threading.Thread(target=ask, args=(address,))
        first.start()
        assert began.wait(HANG_S)
        refused = ask(address)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "there is room for 1" in told(refused)
        go_on.set()
        first.join(HANG_S)
        assert ask(address).status_code == 200


def test_nothing_holds_up_the_event_loop(
    late: MultiVectorEncoder, searcher: PageSearcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def all_of_it() -> dict[str, int]:
        turns = LoopTurns()

        def watch(owner: type, name: str) -> None:
            work: Callable[..., Any] = getattr(owner, name)
            monkeypatch.setattr(owner, name, turns.needed_by(work))

        watch(PagePictures, "indexed")
        watch(PageSearcher, "heatmap")
        watch(PageSearcher, "grids")
        watch(PageSearcher, "stored")
        watch(LateInteractionIndex, "search")
        watch(LateInteractionIndex, "count_pages")
        transport = httpx.ASGITransport(build_app(late, searcher=searcher))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.get("/search")).status_code == 200
            reply = await client.post("/search", json={"question": QUESTION, "k": 1})
            hit = reply.json()["hits"][0]
            for name in ("picture_url", "heat_url"):
                assert (await client.get(f"/{hit[name]}")).status_code == 200
        return turns.during

    during = asyncio.run(all_of_it())
    assert set(during) == {"indexed", "heatmap", "grids", "stored", "search", "count_pages"}


def test_a_dense_index_in_hybrid_search_by_default(
    dense: DenseEncoder, dense_searcher: PageSearcher
) -> None:
    with serving(build_app(dense, searcher=dense_searcher, hybrid=True)) as address:
        assert httpx.get(f"{address}/search").json()["hybrid"] is True
        assert ask(address).json()["score_name"] == "Hybrid"
        assert ask(address, hybrid=False).json()["score_name"] == "Cosine"
    assert isinstance(dense_searcher.index, DenseIndex)


def test_several_indexes_are_searched_as_one(
    late: MultiVectorEncoder, late_folder: Path, tmp_path: Path
) -> None:
    document = tmp_path.resolve() / "jam.pdf"
    write_pdf(document, ["Marmalade"])
    with LateInteractionIndex.create(tmp_path / "other", encoder=late) as index:
        sync_index(index, late, [document])
    searcher = PageSearcher([late_folder, tmp_path / "other"], encoder=late)
    with searcher, serving(build_app(late, searcher=searcher)) as address:
        assert httpx.get(f"{address}/search").json()["pages"] == 5
        body = {"question": "Marmalade", "k": 5}
        hits = httpx.post(f"{address}/search", json=body, timeout=HANG_S).json()["hits"]
        assert [len(hits), hits[0]["citation"]] == [5, "jam.pdf, page 1 of 1"]
        for hit in hits:
            picture = httpx.get(f"{address}/{hit['picture_url']}", timeout=HANG_S)
            assert picture.status_code == 200
