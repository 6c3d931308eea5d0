"""Convert documents and pages to the JSON that the database stores, and back. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vdr_integrations.index.folder.vector_places import to_json
from vdr_integrations.index.records import DocumentRecord, FileState, PageWarning, SkippedPage
from vdr_integrations.index.stored_page import StoredPage, page_id
from vdr_integrations.types import PatchGrid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdr_integrations.index.records import PageRecord

__all__ = ["content_json", "document_of", "metadata_of", "page_of", "record_json", "text_of"]


def record_json(document: DocumentRecord) -> str:
    """The JSON of a document, without its name; the key ``warnings`` only if there are any."""
    found: dict[str, Any] = {
        "file": asdict(document.file),
        "total_pages": document.total_pages,
        "skipped": [asdict(page) for page in document.skipped],
    }
    if document.warnings:
        found["warnings"] = [asdict(one) for one in document.warnings]
    return to_json(found)


def document_of(source: str, record: str) -> DocumentRecord:
    """The document of stored JSON."""
    found = json.loads(record)
    return DocumentRecord(
        source=source,
        file=FileState(**found["file"]),
        total_pages=found["total_pages"],
        skipped=tuple(SkippedPage(**page) for page in found["skipped"]),
        warnings=tuple(PageWarning(**one) for one in found.get("warnings", [])),
    )


def content_json(page: PageRecord, *, grid: PatchGrid | None, metadata: Mapping[str, Any]) -> str:
    """The JSON of a page, without its vectors and numbers; ``warnings`` only if there are any."""
    found: dict[str, Any] = {
        "label": page.page_label,
        "ref": page.page_ref,
        "text": page.text,
        "grid": None if grid is None else [grid.first, grid.rows, grid.columns],
        "metadata": metadata,
    }
    if page.warnings:
        found["warnings"] = page.warnings
    return to_json(found)


def page_of(
    content: str, *, source: str, page_number: int, total_pages: int, bias: float
) -> StoredPage:
    """The page of stored JSON, without its vectors."""
    found = json.loads(content)
    return StoredPage(
        page_id=page_id(source, page_number),
        source=source,
        page_number=page_number,
        page_label=found["label"],
        page_ref=found["ref"],
        total_pages=total_pages,
        text=found["text"],
        grid=None if found["grid"] is None else PatchGrid(*found["grid"]),
        metadata=found["metadata"],
        bias=bias,
        warnings=tuple(found.get("warnings", [])),
    )


def metadata_of(content: str) -> dict[str, Any]:
    """The caller's metadata in the stored JSON of a page."""
    return json.loads(content)["metadata"]


def text_of(content: str) -> str:
    """The text layer in the stored JSON of a page."""
    return json.loads(content)["text"]
