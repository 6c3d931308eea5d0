"""What VDREmbeddings embeds as a page, what as text, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import inspect
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.half_pairs import HALF_PAIRS, REFUSED

from vdr_integrations import DenseEncoder, open_image, open_pdf
from vdr_integrations.errors import OptionError, PageError, PageReferenceError
from vdr_integrations.langchain import VDREmbeddings
from vdr_integrations.pages import PageStore, page_inputs
from vdr_integrations.types import PageImage, PixelBudget

Load = Callable[[Path], list[str]]


def test_a_page_reference_is_embedded_as_its_page(
    embeddings: VDREmbeddings, load: Load, report: Path, page_store: PageStore
) -> None:
    refs = load(report)
    images = [page_store.get(ref) for ref in refs]
    assert embeddings.embed_documents(refs) == embeddings.embed_images(images)


def test_pages_have_the_very_bits_that_the_encoder_gives(
    embeddings: VDREmbeddings, load: Load, report: Path
) -> None:
    encoder = DenseEncoder.load(embeddings.model, device="cpu", max_visual_tokens=64)
    with open_pdf(report) as pdf:
        expected = encoder.encode_pages(list(pdf))
    found = embeddings.embed_documents(load(report))
    assert np.array_equal(np.asarray(found, dtype=np.float32), expected)


def test_queries_and_texts_have_the_very_bits_that_the_encoder_gives(
    embeddings: VDREmbeddings,
) -> None:
    encoder = DenseEncoder.load(embeddings.model, device="cpu", max_visual_tokens=64)
    expected = encoder.encode_queries(["costs"]).tolist()
    assert [embeddings.embed_query("costs")] == expected
    assert embeddings.embed_documents(["costs"]) == expected


def test_texts_between_references_keep_their_place(
    embeddings: VDREmbeddings, load: Load, report: Path
) -> None:
    first, second, third = load(report)
    mixed = embeddings.embed_documents([first, "costs", second, "revenue", third])
    pages = embeddings.embed_documents([first, second, third])
    texts = embeddings.embed_documents(["costs", "revenue"])
    np.testing.assert_allclose(mixed, [pages[0], texts[0], pages[1], texts[1], pages[2]], atol=1e-6)


def test_text_that_merely_holds_a_reference_is_text(
    embeddings: VDREmbeddings, load: Load, report: Path
) -> None:
    ref = load(report)[0]
    text = f"see {ref}"
    assert embeddings.embed_documents([text]) == [embeddings.embed_query(text)]


def test_a_query_that_looks_like_a_reference_is_text(
    embeddings: VDREmbeddings, load: Load, report: Path
) -> None:
    ref = load(report)[0]
    assert embeddings.embed_query(ref) != embeddings.embed_documents([ref])[0]


def test_document_text_is_never_opened_as_a_path(embeddings: VDREmbeddings, tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    Image.new("RGB", (56, 56), "red").save(path)
    assert embeddings.embed_documents([str(path)]) == [embeddings.embed_query(str(path))]


def test_a_reference_that_is_not_stored_is_refused(embeddings: VDREmbeddings) -> None:
    with pytest.raises(PageReferenceError):
        embeddings.embed_documents(["vdr-page:" + "0" * 64])


def test_references_resolve_in_the_folder_that_was_asked_for(
    embeddings: VDREmbeddings, tmp_path: Path
) -> None:
    elsewhere = PageStore(tmp_path / "elsewhere")
    ref = str(elsewhere.put(PageImage(Image.new("RGB", (56, 56), "red"))))
    with pytest.raises(PageReferenceError):
        embeddings.embed_documents([ref])
    there = embeddings.model_copy(update={"page_store_path": str(tmp_path / "elsewhere")})
    assert len(there.embed_documents([ref])) == 1


def test_nothing_to_embed_needs_no_model(page_store: PageStore) -> None:
    embeddings = VDREmbeddings(model="no/such-model", local_files_only=True)
    assert page_store == PageStore()
    assert embeddings.embed_documents([]) == []
    assert embeddings.embed_images([]) == []


@pytest.mark.parametrize("method", ["embed_documents", "embed_images", "embed_image"])
def test_a_lone_string_is_refused_instead_of_read_letter_by_letter(method: str) -> None:
    with pytest.raises(OptionError, match=r"=\[\.\.\.\]"):
        getattr(VDREmbeddings(model="no/such-model"), method)("report.png")


def test_one_image_gives_one_vector_in_whatever_form_it_comes(
    embeddings: VDREmbeddings, tmp_path: Path, page_store: PageStore
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (84, 112, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    path = tmp_path / "page.png"
    image.save(path)
    png = path.read_bytes()
    ref = page_store.put(PageImage(image))
    forms = [
        str(path),
        path,
        png,
        bytearray(png),
        BytesIO(png),
        image,
        pixels,
        "data:image/png;base64," + base64.b64encode(png).decode(),
        PageImage(image),
        ref,
        str(ref),
    ]
    expected = embeddings.embed_images([image])[0]
    for form in forms:
        assert embeddings.embed_images([form]) == [expected], type(form)


def test_a_stream_is_read_whole_however_often_and_wherever_it_stands(
    embeddings: VDREmbeddings,
) -> None:
    stream = BytesIO()
    Image.new("RGB", (56, 56), "red").save(stream, format="PNG")
    first, second = embeddings.embed_images([stream]), embeddings.embed_images([stream])
    assert first == second == embeddings.embed_images([stream.getvalue()])


def test_image_files_are_opened_as_they_are_needed(
    embeddings: VDREmbeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (560, 560), "red").save(path)
    alive, most = weakref.WeakSet[PageImage](), 0

    def noted(source: Path) -> PageImage:
        nonlocal most
        opened = open_image(source)
        alive.add(opened)
        most = max(most, len(alive))
        return opened

    monkeypatch.setattr(page_inputs, "open_image", noted)
    assert len(embeddings.embed_images([path] * 40)) == 40
    assert most < 20


def test_something_that_is_no_image_is_refused(embeddings: VDREmbeddings) -> None:
    with pytest.raises(OptionError):
        embeddings.embed_images([3])  # pyright: ignore[reportArgumentType]  # the point


def test_pdf_pages_are_images_too(embeddings: VDREmbeddings, load: Load, report: Path) -> None:
    with open_pdf(report) as pdf:
        assert embeddings.embed_images(list(pdf)) == embeddings.embed_documents(load(report))


@pytest.mark.parametrize("url", ["http://127.0.0.1/a.png", "https://example.org/a.png"])
def test_urls_are_refused(embeddings: VDREmbeddings, url: str) -> None:
    with pytest.raises(PageError):
        embeddings.embed_image(uris=[url])


def test_chroma_and_lancedb_find_the_method_that_they_look_for(
    embeddings: VDREmbeddings, load: Load, report: Path, page_store: PageStore
) -> None:
    assert list(inspect.signature(VDREmbeddings.embed_image).parameters) == ["self", "uris"]
    refs = load(report)
    paths = [str(page_store.path(ref)) for ref in refs]
    expected = embeddings.embed_documents(refs)
    assert embeddings.embed_image(uris=paths) == expected
    assert embeddings.embed_image(uris=refs) == expected


def test_vectors_are_lists_of_python_floats_of_length_one(
    embeddings: VDREmbeddings, load: Load, report: Path
) -> None:
    for vector in [embeddings.embed_query("costs"), *embeddings.embed_documents(load(report))]:
        assert type(vector) is list
        assert {type(component) for component in vector} == {float}
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_dimension_cuts_vectors_before_they_are_normalised(embeddings: VDREmbeddings) -> None:
    whole = np.asarray(embeddings.embed_query("costs"))
    short = embeddings.model_copy(update={"dimension": 16}).embed_query("costs")
    np.testing.assert_allclose(short, whole[:16] / np.linalg.norm(whole[:16]), atol=1e-6)
    assert len(embeddings.embed_query("costs")) == len(whole)


async def test_async_methods_give_what_the_sync_ones_give(
    embeddings: VDREmbeddings, load: Load, report: Path
) -> None:
    refs = load(report)
    assert await embeddings.aembed_query("costs") == embeddings.embed_query("costs")
    assert await embeddings.aembed_documents([*refs, "costs"]) == embeddings.embed_documents(
        [*refs, "costs"]
    )
    assert await embeddings.aembed_images(refs) == embeddings.embed_images(refs)
    assert await embeddings.aembed_documents([]) == []


async def test_the_event_loop_neither_reads_pages_nor_loads_models(
    embeddings: VDREmbeddings, load: Load, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = load(report)[0]
    threads: list[threading.Thread] = []

    def noted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            threads.append(threading.current_thread())
            return call(*args, **kwargs)

        return wrapper

    monkeypatch.setattr(PageStore, "get", noted(PageStore.get))
    monkeypatch.setattr(PageStore, "__contains__", noted(PageStore.__contains__))
    monkeypatch.setattr(DenseEncoder, "load", noted(DenseEncoder.load))
    await embeddings.aembed_documents([ref])
    await embeddings.model_copy(deep=True).aembed_images([ref])
    await embeddings.model_copy(deep=True).aembed_query("costs")
    assert len(threads) == 7  # three models, and each reference looked for and read
    assert threading.current_thread() not in threads


async def test_sixteen_tasks_get_what_one_caller_gets(
    embeddings: VDREmbeddings, load: Load, report: Path
) -> None:
    refs = load(report)
    questions = [f"question {n}" for n in range(16)]
    serial = [embeddings.embed_query(question) for question in questions]
    serial_pages = [embeddings.embed_documents([refs[n % 3]])[0] for n in range(16)]
    fresh = embeddings.model_copy(deep=True)
    together = await asyncio.gather(*(fresh.aembed_query(question) for question in questions))
    pages = await asyncio.gather(*(fresh.aembed_documents([refs[n % 3]]) for n in range(16)))
    np.testing.assert_allclose(together, serial, atol=1e-5)
    np.testing.assert_allclose([vectors[0] for vectors in pages], serial_pages, atol=1e-5)


def test_sixteen_threads_get_what_one_caller_gets(embeddings: VDREmbeddings) -> None:
    questions = [f"question {n}" for n in range(16)]
    serial = [embeddings.embed_query(question) for question in questions]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(embeddings.model_copy(deep=True).embed_query, questions))
    np.testing.assert_allclose(together, serial, atol=1e-5)


async def test_a_failing_call_leaves_its_neighbours_alone(
    embeddings: VDREmbeddings, load: Load, report: Path
) -> None:
    ref = load(report)[0]
    good = asyncio.create_task(embeddings.aembed_documents([ref]))
    query = asyncio.create_task(embeddings.aembed_query("costs"))
    with pytest.raises(PageReferenceError):
        await embeddings.aembed_documents(["vdr-page:" + "0" * 64])
    np.testing.assert_allclose(await good, embeddings.embed_documents([ref]), atol=1e-5)
    np.testing.assert_allclose(await query, embeddings.embed_query("costs"), atol=1e-5)


def test_an_altered_page_is_refused(
    embeddings: VDREmbeddings, load: Load, report: Path, page_store: PageStore
) -> None:
    ref = load(report)[0]
    Image.new("RGB", (56, 56), "red").save(page_store.path(ref))
    with pytest.raises(PageReferenceError):
        embeddings.embed_documents([ref])


def test_the_budget_limits_what_is_looked_at(
    embeddings: VDREmbeddings, page_store: PageStore
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (560, 560, 3), dtype=np.uint8)
    ref = str(page_store.put(PageImage(Image.fromarray(noise))))
    small = embeddings.model_copy(update={"max_visual_tokens": 16})
    shrunk = PageImage(Image.fromarray(noise)).render(PixelBudget(16))
    assert small.embed_documents([ref]) == small.embed_images([shrunk])
    assert small.embed_documents([ref]) != embeddings.embed_documents([ref])


@pytest.mark.parametrize("text", HALF_PAIRS.values(), ids=HALF_PAIRS)
async def test_half_a_surrogate_pair_is_refused_by_its_place(
    embeddings: VDREmbeddings, load: Load, report: Path, text: str
) -> None:
    mixed = [load(report)[0], "costs", text]
    with pytest.raises(OptionError, match=f"the text {REFUSED}"):
        embeddings.embed_query(text)
    with pytest.raises(OptionError, match=f"the text {REFUSED}"):
        await embeddings.aembed_query(text)
    with pytest.raises(OptionError, match=rf"texts\[2\] {REFUSED}"):
        embeddings.embed_documents(mixed)
    with pytest.raises(OptionError, match=rf"texts\[2\] {REFUSED}"):
        await embeddings.aembed_documents(mixed)
    assert len(embeddings.embed_query("\N{GRINNING FACE}")) == 64
