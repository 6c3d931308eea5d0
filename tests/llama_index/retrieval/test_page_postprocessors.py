"""Pictures of found pages on another machine, and pages for parts of LlamaIndex that read text."""

from __future__ import annotations

import json
import pickle
import secrets
import shutil
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM, MockLLM
from llama_index.core.postprocessor import LLMRerank
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.schema import Document, ImageNode, MetadataMode, NodeWithScore, TextNode
from PIL import Image
from pydantic import ValidationError
from tests.llama_index.indexes import page_index
from tests.pdfs import write_pdf

from vdr_integrations import PageStore
from vdr_integrations.errors import PageError, PageReferenceError
from vdr_integrations.llama_index import (
    PagePicturePostprocessor,
    PageTextPostprocessor,
    PDFPageNodeParser,
    page_texts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_index.core.base.llms.types import ContentBlock

    from vdr_integrations.llama_index import PDFPageReader, VDREmbedding


@pytest.fixture
def hits(embedding: VDREmbedding, reader: PDFPageReader, report: Path) -> list[NodeWithScore]:
    """What a stock retriever found."""
    index = page_index(list(reader.load_data(report)), embedding)
    return index.as_retriever(similarity_top_k=3).retrieve("costs")


@pytest.fixture
def moved(
    hits: list[NodeWithScore], page_store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> PageStore:
    """The page store in another place; the nodes name the old one."""
    assert hits
    place = page_store.root.with_name("moved")
    shutil.move(page_store.root, place)
    monkeypatch.setenv("VDR_PAGE_STORE", str(place))
    return PageStore(place)


def image_paths(hits: list[NodeWithScore]) -> list[str]:
    nodes = [hit.node for hit in hits]
    assert all(isinstance(node, ImageNode) for node in nodes)
    return [str(node.image_path) for node in nodes]  # pyright: ignore[reportAttributeAccessIssue]


async def test_a_picture_is_found_where_the_store_is_now(
    hits: list[NodeWithScore], moved: PageStore
) -> None:
    with pytest.raises((ValidationError, OSError)):
        hits[0].node.get_content_blocks(MetadataMode.LLM)  # pyright: ignore[reportAttributeAccessIssue]
    postprocessor = PagePicturePostprocessor(max_visual_tokens=64)
    found = postprocessor.postprocess_nodes(hits)
    assert found == await postprocessor.apostprocess_nodes(hits)
    assert image_paths(found) == [str(moved.path(hit.metadata["page_ref"])) for hit in hits]
    for old, new in zip(hits, found, strict=True):
        assert (old.score, old.node_id, old.metadata) == (new.score, new.node_id, new.metadata)
        for mode in (MetadataMode.EMBED, MetadataMode.LLM, MetadataMode.NONE):
            assert old.node.get_content(mode) == new.node.get_content(mode)  # pyright: ignore[reportArgumentType]
        assert any(
            isinstance(block, ImageBlock)
            for block in new.node.get_content_blocks(MetadataMode.LLM)  # pyright: ignore[reportAttributeAccessIssue]
        )
    assert not any(str(moved.root) in path for path in image_paths(hits))  # copies


def test_a_store_at_a_url_gives_its_pictures_themselves(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path, page_store: PageStore
) -> None:
    """LlamaIndex cannot open what nodes hold of a URL."""
    place = f"memory://{secrets.token_hex(8)}/pages"
    store = PageStore(place)
    reader = reader.model_copy(update={"page_store_path": place})
    embedding = embedding.model_copy(update={"page_store_path": place})
    documents = list(reader.load_data(report))
    found = page_index(documents, embedding).as_retriever(similarity_top_k=3).retrieve("costs")
    refs = [hit.metadata["page_ref"] for hit in found]
    assert all(store.get(ref).ref for ref in refs)
    assert len(set(image_paths(found))) == len(refs)
    with_pictures = PagePicturePostprocessor(page_store_path=place).postprocess_nodes(found)
    for hit, ref in zip(with_pictures, refs, strict=True):
        assert isinstance(hit.node, ImageNode)
        [picture] = [
            block
            for block in hit.node.get_content_blocks(MetadataMode.LLM)
            if isinstance(block, ImageBlock)
        ]
        with Image.open(BytesIO(picture.resolve_image().read())) as image:
            assert image.tobytes() == store.get(ref).image.tobytes()
    restored = Document.from_dict(json.loads(json.dumps(documents[0].to_dict())))
    assert restored.hash == documents[0].hash
    assert not page_store.root.exists()


def test_a_picture_that_no_store_has_is_drawn_again(
    hits: list[NodeWithScore], tmp_path: Path
) -> None:
    other = PageStore(tmp_path / "other")
    postprocessor = PagePicturePostprocessor(page_store_path=str(other.root), max_visual_tokens=64)
    found = postprocessor.postprocess_nodes(hits)
    assert all(path.startswith(str(other.root)) for path in image_paths(found))
    assert all(hit.metadata["page_ref"] in other for hit in hits)


def test_a_picture_that_is_gone_leaves_a_text_and_a_warning(
    hits: list[NodeWithScore], report: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_pdf(report, ["Something else"])
    options: dict[str, Any] = {
        "page_store_path": str(tmp_path / "other"),
        "max_visual_tokens": 64,
    }
    found = PagePicturePostprocessor(**options).postprocess_nodes(hits)
    assert [type(hit.node) for hit in found] == [TextNode] * 3
    assert [hit.node.get_content(MetadataMode.LLM) for hit in found] == [
        hit.node.get_content(MetadataMode.LLM) for hit in hits
    ]
    assert caplog.text.count("report.pdf page") >= 3
    with pytest.raises(PageReferenceError, match=r"report\.pdf page"):
        PagePicturePostprocessor(**options, on_error="raise").postprocess_nodes(hits)
    errors: list[PageError] = []
    PagePicturePostprocessor(**options, on_error=errors.append).postprocess_nodes(hits)
    assert len(errors) == 3


def test_a_multimodal_query_works_with_a_moved_store(
    embedding: VDREmbedding,
    reader: PDFPageReader,
    report: Path,
    page_store: PageStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = page_index(list(reader.load_data(report)), embedding)
    place = page_store.root.with_name("moved")
    shutil.move(page_store.root, place)
    monkeypatch.setenv("VDR_PAGE_STORE", str(place))
    engine = RetrieverQueryEngine.from_args(
        index.as_retriever(),
        llm=MockLLM(is_chat_model=True, max_tokens=8),
        multimodal=True,
        response_mode=ResponseMode.COMPACT,
        node_postprocessors=[PagePicturePostprocessor(max_visual_tokens=64)],
    )
    answer = engine.query("How did costs change?")
    assert [node.metadata["file_name"] for node in answer.source_nodes] == ["report.pdf"] * 2


def test_other_nodes_stay_as_they_are(page_store: PageStore) -> None:
    given = [
        NodeWithScore(node=TextNode(text="a note"), score=0.5),
        NodeWithScore(node=ImageNode(image_path="a.png")),
    ]
    for postprocessor in (PagePicturePostprocessor(), PageTextPostprocessor()):
        assert postprocessor.postprocess_nodes(list(given)) == given
        again = pickle.loads(pickle.dumps(postprocessor))
        assert again.to_dict() == postprocessor.to_dict()


def test_a_store_that_returns_text_nodes_gets_its_pictures_back(
    hits: list[NodeWithScore],
) -> None:
    node = hits[0].node
    bare = TextNode(id_=node.node_id, text="report", metadata=node.metadata)
    [found] = PagePicturePostprocessor().postprocess_nodes([NodeWithScore(node=bare)])
    assert isinstance(found.node, ImageNode)
    assert (found.node_id, found.metadata) == (node.node_id, node.metadata)


def test_what_reads_embed_content_gets_the_text_of_a_page(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path
) -> None:
    nodes = PDFPageNodeParser()(reader.load_data(report))
    texts = page_texts(nodes)
    assert [text.get_content(MetadataMode.EMBED) for text in texts] == [  # pyright: ignore[reportCallIssue]
        "report.pdf, page 1 of 3\n\nRevenue grew",
        "report.pdf, page 2 of 3\n\nCosts fell",
        "report.pdf, page 3 of 3\n\nOutlook is calm",
    ]
    for node, text in zip(nodes, texts, strict=True):
        assert node.get_content(MetadataMode.EMBED) == node.metadata["page_ref"]  # pyright: ignore[reportCallIssue]
        assert (text.hash, text.node_id, text.metadata) == (node.hash, node.node_id, node.metadata)
        assert text.get_content(MetadataMode.LLM) == node.get_content(MetadataMode.LLM)  # pyright: ignore[reportCallIssue]
    index = VectorStoreIndex(nodes, embed_model=embedding)
    hits = index.as_retriever(similarity_top_k=3).retrieve("costs")
    seen = PageTextPostprocessor().postprocess_nodes(hits)
    assert [hit.score for hit in seen] == [hit.score for hit in hits]
    assert all("vdr-page" not in hit.node.get_content(MetadataMode.EMBED) for hit in seen)


@pytest.mark.parametrize("damage", ["empty", "other page", "garbage"])
def test_a_damaged_picture_is_drawn_again(
    hits: list[NodeWithScore], page_store: PageStore, damage: str
) -> None:
    first, second = (page_store.path(hit.metadata["page_ref"]) for hit in hits[:2])
    whole = first.read_bytes()
    first.write_bytes(
        {"empty": b"", "other page": second.read_bytes(), "garbage": b"no picture"}[damage]
    )
    PagePicturePostprocessor(max_visual_tokens=64).postprocess_nodes(hits)
    assert first.read_bytes() == whole


def test_a_chat_model_that_reranks_sees_text_and_picture_of_a_page(
    hits: list[NodeWithScore],
) -> None:
    shown: list[ContentBlock] = []

    def choose(messages: Sequence[ChatMessage], **_options: Any) -> ChatMessage:
        shown.extend(block for message in messages for block in message.blocks)
        return ChatMessage(role="assistant", content="Doc: 2, Relevance: 9\nDoc: 1, Relevance: 3")

    llm = MockFunctionCallingLLM(response_generator=choose, is_chat_model=True)
    found = LLMRerank(llm=llm, top_n=2).postprocess_nodes(hits, query_str="costs")
    assert [hit.node_id for hit in found] == [hits[1].node_id, hits[0].node_id]
    pictures = [block.resolve_image().read() for block in shown if isinstance(block, ImageBlock)]
    assert pictures == [Path(path).read_bytes() for path in image_paths(hits)]
    texts = " ".join(block.text for block in shown if isinstance(block, TextBlock))
    assert all(hit.metadata["page_text"].strip() in texts for hit in hits)
    assert "vdr-page" not in texts
