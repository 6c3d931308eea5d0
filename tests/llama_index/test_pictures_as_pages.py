"""Pictures stay pictures: image documents and nodes, picture files, and what is refused by name."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np
import pytest
from llama_index.core import Document, SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import (
    BaseNode,
    ImageDocument,
    ImageNode,
    MediaResource,
    MetadataMode,
    QueryBundle,
    TextNode,
)
from pydantic import AnyUrl
from tests.llama_index.indexes import stored_vectors
from tests.llama_index.pictures import picture, png

from vdr_integrations.errors import OptionError, PageError
from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader, VDREmbedding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vdr_integrations import PageStore


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture file."""
    path = tmp_path / "pictures" / "photo.png"
    path.parent.mkdir()
    path.write_bytes(png(picture("green", (168, 224))))
    return path


def _base64(photo: Path) -> str:
    return base64.b64encode(photo.read_bytes()).decode()


def _info(photo: Path) -> dict[str, str]:
    return {"file_path": str(photo), "file_name": "photo.png"}


KINDS: dict[str, Callable[[Path], BaseNode]] = {
    "document of a path": lambda photo: ImageDocument(image_path=str(photo)),
    "document of a path with metadata": lambda photo: ImageDocument(
        image_path=str(photo), metadata=_info(photo)
    ),
    "document of base64 with metadata": lambda photo: ImageDocument(
        image=_base64(photo), metadata=_info(photo)
    ),
    "document of a resource": lambda photo: Document(image_resource=MediaResource(path=photo)),
    "node of a path": lambda photo: ImageNode(image_path=str(photo)),
    "node of base64": lambda photo: ImageNode(image=_base64(photo)),
    "node of a path with a caption": lambda photo: ImageNode(
        image_path=str(photo), text="A green field"
    ),
}
"""A picture in the forms that LlamaIndex's users have it."""


@pytest.mark.parametrize("kind", KINDS)
def test_the_parser_makes_a_page_of_a_picture(
    embedding: VDREmbedding, photo: Path, page_store: PageStore, kind: str
) -> None:
    given = KINDS[kind](photo)
    index = VectorStoreIndex.from_documents(
        [given],  # pyright: ignore[reportArgumentType]  # nodes work as well
        transformations=[PDFPageNodeParser(max_visual_tokens=64)],
        embed_model=embedding,
    )
    [(node_id, vector)] = stored_vectors(index).items()
    expected = embedding.get_image_embedding(photo)
    np.testing.assert_allclose(vector, expected, atol=1e-5)
    [node] = index.docstore.docs.values()
    assert isinstance(node, ImageNode)
    assert node.node_id == node.metadata["page_id"] == node_id
    assert node.metadata["page_ref"] in page_store
    named = kind != "node of base64"
    assert node.metadata["source"].startswith(str(photo) if named else "sha256:")
    assert node.get_content(metadata_mode=MetadataMode.EMBED) == node.metadata["page_ref"]
    caption = "A green field" if "caption" in kind else ""
    assert node.metadata["page_text"] == caption
    assert node.get_content(metadata_mode=MetadataMode.LLM).endswith(caption)
    assert set(given.metadata) <= set(node.metadata)


def test_the_reader_makes_a_page_of_a_picture_file(
    embedding: VDREmbedding, reader: PDFPageReader, photo: Path, report: Path
) -> None:
    [document] = reader.load_data(photo)
    assert document.metadata["citation"] == "photo.png, page 1 of 1"
    [of_bytes] = reader.load_data(photo.read_bytes())
    assert of_bytes.metadata["page_ref"] == document.metadata["page_ref"]
    (photo.parent / "report.pdf").write_bytes(report.read_bytes())
    documents = SimpleDirectoryReader(
        str(photo.parent), file_extractor=reader.by_suffix()
    ).load_data()
    assert [one.metadata["file_name"] for one in documents] == ["photo.png", *["report.pdf"] * 3]
    index = VectorStoreIndex.from_documents(documents, embed_model=embedding)
    query = QueryBundle("", embedding=embedding.get_image_embedding(photo))
    [hit] = index.as_retriever(similarity_top_k=1).retrieve(query)
    assert hit.metadata["file_name"] == "photo.png"


def test_a_picture_is_read_beside_pages_in_a_pipeline(
    embedding: VDREmbedding, reader: PDFPageReader, photo: Path, report: Path
) -> None:
    documents = [*reader.load_data(report), ImageDocument(image_path=str(photo))]
    nodes = IngestionPipeline(
        transformations=[PDFPageNodeParser(max_visual_tokens=64), embedding]
    ).run(documents=documents)
    assert [node.metadata["citation"] for node in nodes] == [
        "report.pdf, page 1 of 3",
        "report.pdf, page 2 of 3",
        "report.pdf, page 3 of 3",
        "photo.png, page 1 of 1",
    ]
    assert all(node.embedding for node in nodes)


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"file_path": "/d/scan.png"}, ""),
        ({"file_path": "/d/scan.PNG", "author": "x"}, ""),
        ({"file_name": "scan.jpeg"}, ""),
        ({"page_label": "3", "file_path": "/d/scan.pdf"}, ""),
        ({"file_path": "scan.tiff"}, "II*\0\x08\0\0"),
        ({"file_path": "a b.webp"}, "RIFF\0\0"),
        ({"file_path": "/d/scan.png", "Content-Type": "image/png", "exif.iso": "100"}, ""),
        ({"note": "two\nlines", "file_path": "https://x/scan.png?sig=1", "_id": "7"}, ""),
        ({"file_path": "report.pdf"}, "%PDF-1.7 1 0 obj"),
    ],
)
def test_the_name_of_a_picture_is_never_embedded_in_its_place(
    embedding: VDREmbedding, metadata: dict[str, str], text: str
) -> None:
    document = Document(text=text, metadata=metadata)
    name = str(metadata.get("file_path") or metadata["file_name"]).partition("?")[0]
    node = TextNode(text=text, metadata=metadata)
    content = node.get_content(metadata_mode=MetadataMode.EMBED)
    with pytest.raises(OptionError, match=rf"^{name}: .*by_suffix"):
        VectorStoreIndex.from_documents([document], embed_model=embedding)
    with pytest.raises(OptionError, match=rf"^{name}: .*by_suffix"):
        embedding.get_text_embedding_batch(["a text", content])


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"file_path": "/d/scan.png"}, "What the recognised text says"),
        ({"file_path": "/d/notes.txt"}, ""),
        ({"page_label": "3", "file_path": "/d/report.pdf"}, "Costs fell"),
        ({}, "see file_path: a.png"),
        ({}, "The picture\nfile_path: a.png"),
        ({}, "Figure 3: growth\n\nfile_path: a.png"),
    ],
)
def test_texts_about_pictures_are_embedded(
    embedding: VDREmbedding, metadata: dict[str, str], text: str
) -> None:
    content = TextNode(text=text, metadata=metadata).get_content(metadata_mode=MetadataMode.EMBED)
    assert embedding.get_text_embedding(content) == embedding.get_query_embedding(content)


def test_pictures_that_cannot_be_read_are_refused_by_name(tmp_path: Path) -> None:
    parser = PDFPageNodeParser()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    wrong: list[tuple[BaseNode, str]] = [
        (ImageNode(image_path=str(tmp_path / "gone.png")), r"gone\.png"),
        (ImageNode(image_path=str(broken)), r"broken\.png"),
        (ImageNode(id_="bare"), "bare has no image"),
        (ImageNode(id_="far", image_url="https://example.org/a.png"), "far has only an image URL"),
        (Document(image_resource=MediaResource(url=AnyUrl("https://a/b.png"))), "image URL"),
        (Document(text="OCR", metadata={"file_path": "/d/scan.png"}), r"scan\.png.*by_suffix"),
    ]
    for node, message in wrong:
        with pytest.raises((OptionError, PageError), match=message):
            parser([node])


def test_a_cached_pipeline_takes_no_picture_for_another(
    embedding: VDREmbedding, tmp_path: Path
) -> None:
    paths: list[Path] = []
    for colour in ("red", "blue"):
        paths.append(tmp_path / f"{colour}.png")
        paths[-1].write_bytes(png(picture(colour)))
    pipeline = IngestionPipeline(
        transformations=[PDFPageNodeParser(max_visual_tokens=64), embedding]
    )
    for path in paths:
        [node] = pipeline.run(documents=[ImageDocument(image_path=str(path))])
        assert node.metadata["file_name"] == path.name
    nodes = pipeline.run(documents=[ImageDocument(image_path=str(path)) for path in paths])
    assert [node.metadata["file_name"] for node in nodes] == ["red.png", "blue.png"]
    paths[0].write_bytes(png(picture("white")))
    [changed] = pipeline.run(documents=[ImageDocument(image_path=str(paths[0]))])
    assert changed.metadata["page_ref"] != nodes[0].metadata["page_ref"]
    parser = PDFPageNodeParser(max_visual_tokens=64)
    assert PDFPageNodeParser.from_dict(parser.to_dict()).max_visual_tokens == 64


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    parser = PDFPageNodeParser(max_visual_tokens=64)
    info = {"file_path": "/up/x.png"}
    two = [
        ImageDocument(image=base64.b64encode(png(picture(colour))).decode(), metadata=info)
        for colour in ("red", "blue")
    ]
    with pytest.raises(OptionError, match=r"x\.png, page 1 of 1: two different pages"):
        parser(two)
    for document in two:
        document.metadata = {}
    assert len({node.node_id for node in parser(two)}) == 2


def test_half_a_pair_in_the_text_of_a_picture_is_an_error_of_its_document(photo: Path) -> None:
    for node in (
        ImageNode(image_path=str(photo), text="a\ude00"),
        ImageDocument(image_path=str(photo), text="a\ude00"),
    ):
        with pytest.raises(PageError, match=r"photo\.png: its metadata 'text' has half"):
            PDFPageNodeParser()([node])
