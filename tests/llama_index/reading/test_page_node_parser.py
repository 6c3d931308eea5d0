"""Table A3 of the contract notes: what the parser keeps, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from llama_index.core import (
    SimpleDirectoryReader,
)
from llama_index.core.schema import (
    BaseNode,
    Document,
    MediaResource,
    MetadataMode,
    TextNode,
)
from pydantic import AnyUrl

from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader

if TYPE_CHECKING:
    from pathlib import Path


def test_metadata_added_to_documents_reaches_the_nodes_and_not_their_vectors(
    reader: PDFPageReader, report: Path
) -> None:
    documents = reader.load_data(report, extra_info={"file_path": "s3://b/report.pdf", "year": 1})
    for document in documents:
        document.metadata["department"] = "finance"
    for include_metadata in (True, False):
        for node in PDFPageNodeParser(include_metadata=include_metadata)(documents):
            assert node.metadata["department"] == "finance"
            assert node.metadata["file_path"] == "s3://b/report.pdf"
            content = node.get_content(metadata_mode=MetadataMode.EMBED)
            assert content == node.metadata["page_ref"]


def test_a_parsed_page_passes_the_parser_again_unchanged(
    reader: PDFPageReader, report: Path
) -> None:
    nodes = PDFPageNodeParser()(reader.load_data(report))
    assert PDFPageNodeParser()(nodes) == nodes


@pytest.mark.parametrize(
    ("document", "advice"),
    [
        (Document(text="x", metadata={"file_path": "/d/a.PDF"}), "PDFPageReader"),
        (Document(text="x", metadata={"file_name": "a.txt"}), "own node parser"),
        (Document(text="x"), "own node parser"),
        (TextNode(text="x", metadata={"page_ref": "vdr-page:" + "0" * 64}), "text splitter"),
        (Document(text="x", metadata={"page_ref": "vdr-page:" + "0" * 64}), "no image path"),
        (
            Document(image_resource=MediaResource(url=AnyUrl("https://a/b.png"))),
            "image URL",
        ),
    ],
)
def test_what_is_no_page_is_refused_with_advice(document: BaseNode, advice: str) -> None:
    with pytest.raises(OptionError, match=advice):
        PDFPageNodeParser()([document])


def test_text_of_a_pdf_that_another_reader_extracted_is_refused(
    report: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.pdf.txt").write_text("notes", encoding="utf-8")
    documents = SimpleDirectoryReader(input_files=[tmp_path / "notes.pdf.txt"]).load_data()
    with pytest.raises(OptionError, match="own node parser"):
        PDFPageNodeParser()(documents)
