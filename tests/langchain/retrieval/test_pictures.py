from __future__ import annotations

import base64
import secrets
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_core.runnables import (
    RunnablePassthrough,
    chain,
)
from PIL import Image
from tests.langchain.retrieval.conftest import QUESTION, numbers
from tests.pdfs import write_pdf

from vdr_integrations.errors import (
    OptionError,
    PageReferenceError,
)
from vdr_integrations.index import (
    Compression,
    LateInteractionIndex,
    Manifest,
    sync_index,
)
from vdr_integrations.langchain import (
    LateInteractionRetriever,
    PDFPageLoader,
    VDREmbeddings,
    page_blocks,
    page_image_block,
)
from vdr_integrations.pages import PageStore, open_pdf

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations import MultiVectorEncoder


def test_an_image_finds_the_page_that_it_is(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder, docs: Path
) -> None:
    with open_pdf(docs / "report.pdf") as pdf:
        for page in pdf:
            [best] = retriever.search_image(
                page.to_image(encoder.pixel_budget), k=1, with_scores=True
            )
            tokens = len(encoder.encode_pages([page])[0])
            assert numbers([best]) == [("report.pdf", page.page_number)]
            assert best.metadata["relevance_score"] == pytest.approx(tokens, rel=1e-3)


async def test_an_image_is_taken_in_any_form_sync_and_async(
    retriever: LateInteractionRetriever,
) -> None:
    [page] = retriever.invoke(QUESTION, k=1)
    png = base64.b64decode(page_image_block(page).get("base64", ""))
    picture = Image.open(BytesIO(png))
    for image in (page.metadata["page_ref"], png, picture, np.asarray(picture)):
        assert retriever.search_image(image, k=1)[0].id == page.id
        assert (await retriever.asearch_image(image, k=1))[0].id == page.id


def test_grids_say_where_each_token_of_the_question_matches(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder, docs: Path
) -> None:
    [page] = retriever.invoke(QUESTION, k=1)
    tokens, grids = retriever.similarity_grids(QUESTION, page)
    assert "".join(tokens).startswith(f"Query: {QUESTION}")
    with open_pdf(docs / page.metadata["source"]) as pdf:
        image = pdf[page.metadata["page"]].to_image(encoder.pixel_budget)
    layout = encoder.page_layout(image.height, image.width)
    query, vectors = encoder.encode_queries([QUESTION])[0], encoder.encode_pages([image])[0]
    assert grids.shape == (len(tokens), layout.rows, layout.columns)
    row, column = layout.rows - 1, 2
    place = layout.first + row * layout.columns + column
    np.testing.assert_allclose(grids[:, row, column], query @ vectors[place], atol=2e-3)


NO_PAGE = Document(page_content="text")


async def test_a_heat_map_is_the_grids_over_the_picture_of_the_page(
    retriever: LateInteractionRetriever,
) -> None:
    [page] = retriever.invoke(QUESTION, k=1)
    drawn = retriever.heatmap(QUESTION, page)
    np.testing.assert_array_equal(drawn.grids, retriever.similarity_grids(QUESTION, page).grids)
    picture = page_image_block(page).get("base64", "")
    assert drawn.page.tobytes() == Image.open(BytesIO(base64.b64decode(picture))).tobytes()
    words = " ".join(word.text for word in drawn.words)
    assert words == QUESTION.replace(",", "").rstrip("?")
    assert drawn.label == f"{page.metadata['file_name']} page {page.metadata['page_number']}"
    assert (await retriever.aheatmap(QUESTION, page)).png() == drawn.png()
    with pytest.raises(OptionError, match="not a page"):
        retriever.heatmap(QUESTION, NO_PAGE)


async def test_grids_of_a_pooled_index_come_from_the_picture(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder, docs: Path, tmp_path: Path
) -> None:
    with LateInteractionIndex.create(
        tmp_path / "pooled",
        manifest=Manifest.of(encoder),
        compression=Compression(token_pooling=3),
    ) as pooled:
        sync_index(pooled, encoder, [docs / "report.pdf"])
        smaller = LateInteractionRetriever(index=pooled, encoder=encoder)
        [page] = smaller.invoke(QUESTION, k=1)
        tokens, grids = await smaller.asimilarity_grids(QUESTION, page)
        whole = retriever.similarity_grids(QUESTION, page)
        assert tokens == whole.tokens
        np.testing.assert_allclose(grids, whole.grids, atol=2e-3)
    with pytest.raises(OptionError, match="not a page"):
        retriever.similarity_grids(QUESTION, NO_PAGE)


def test_pages_that_were_indexed_elsewhere_are_shown_to_a_chat_model(
    index_folder: Path, encoder: MultiVectorEncoder, page_store: PageStore
) -> None:
    retriever = LateInteractionRetriever(index=index_folder, encoder=encoder, k=5)
    asked: list[list[Any]] = []

    @chain
    def to_messages(found: dict[str, Any]) -> list[HumanMessage]:
        blocks: list[Any] = [
            {"type": "text", "text": found["question"]},
            *page_blocks(found["pages"]),
        ]
        asked.append(blocks)
        return [HumanMessage(content_blocks=blocks)]

    model = FakeListChatModel(responses=["It grew."])
    answer = ({"question": RunnablePassthrough(), "pages": retriever} | to_messages | model).invoke(
        QUESTION
    )
    assert answer.content == "It grew."
    assert [block["type"] for block in asked[0]] == ["text", *["text", "image"] * 5]
    for document, block in zip(retriever.invoke(QUESTION), asked[0][2::2], strict=True):
        image = Image.open(BytesIO(base64.b64decode(block["base64"])))
        assert image.tobytes() == page_store.get(document.metadata["page_ref"]).image.tobytes()


def test_pictures_of_files_that_changed_are_missed_and_never_wrong(
    encoder: MultiVectorEncoder,
    tmp_path: Path,
    page_store: PageStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pdf = write_pdf(tmp_path / "changing.pdf", ["old", "same"])
    gone = write_pdf(tmp_path / "gone.pdf", ["gone"])
    folder = tmp_path / "ix"
    with LateInteractionIndex.create(folder, manifest=Manifest.of(encoder)) as index:
        sync_index(index, encoder, [tmp_path])
    write_pdf(pdf, ["new", "same"])
    gone.unlink()
    retriever = LateInteractionRetriever(index=folder, encoder=encoder)
    pages = dict(zip(numbers(found := retriever.invoke(QUESTION)), found, strict=True))
    assert len(pages) == 3
    assert page_blocks([pages["changing.pdf", 2]])[1]["type"] == "image"
    for place in (("changing.pdf", 1), ("gone.pdf", 1)):
        with pytest.raises(PageReferenceError):
            page_blocks([pages[place]])
    assert f"{pdf}, pages 1" in caplog.text
    assert f"{gone}, pages 1" in caplog.text


def test_text_that_reads_like_a_reference_shows_no_other_page(
    encoder: MultiVectorEncoder, tmp_path: Path, page_store: PageStore
) -> None:
    from vdr_integrations.langchain.retrieval.hit_documents import hit_document
    from vdr_integrations.types import Hit

    theirs, own = f"vdr-page:{'a' * 64}", f"vdr-page:{'b' * 64}"
    document = hit_document(Hit("/x.pdf", 1, 1.0, "1", 1, own, text=f"{theirs}\n"))
    assert theirs not in document.page_content
    with pytest.raises(PageReferenceError, match="b" * 64):
        page_image_block(document)


def test_a_store_at_a_url_gives_pictures_to_models(docs: Path, page_store: PageStore) -> None:
    place = f"memory://{secrets.token_hex(8)}/pages"
    pages = PDFPageLoader(docs / "report.pdf", page_store_path=place, max_visual_tokens=64).load()
    for page in pages:
        picture = page_image_block(page, page_store_path=place).get("base64", "")
        with Image.open(BytesIO(base64.b64decode(picture))) as image:
            stored = PageStore(place).get(page.metadata["page_ref"])
            assert image.tobytes() == stored.image.tobytes()
    embeddings = VDREmbeddings(
        model="nano", device="cpu", page_store_path=place, max_visual_tokens=64
    )
    vectors = embeddings.embed_documents([page.page_content for page in pages])
    assert vectors == embeddings.embed_images([page.metadata["page_ref"] for page in pages])
    assert not page_store.root.exists()
