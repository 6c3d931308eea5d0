"""Between documents and pages and the points that keep them. Pure."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vdr_integrations.errors import OptionError
from vdr_integrations.index.late_interaction.engine import Point
from vdr_integrations.index.late_interaction.filters import filterable
from vdr_integrations.index.records import DocumentRecord, FileState, SkippedPage
from vdr_integrations.types import Hit, PatchGrid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vdr_integrations.index.records import PageRecord

__all__ = [
    "MANIFEST_ID",
    "CommittedDocument",
    "StoredPage",
    "committed_document",
    "digest",
    "document_id",
    "document_point",
    "hit_of",
    "json_metadata",
    "page_id",
    "page_payload",
    "page_point_id",
    "stored_page",
]

_NAMESPACE = uuid.UUID("4f1e9c62-8a34-5d0b-9f57-0c6f1f7b2a11")


@dataclass(frozen=True, slots=True)
class CommittedDocument:
    """A document as the store knows it.

    Attributes:
        record: What callers get.
        version: Of its pages; pages of another version are not there yet, or not any more.
        pages: Page numbers that can be found.
        metadata: The caller's.
    """

    record: DocumentRecord
    version: str
    pages: frozenset[int]
    metadata: dict[str, Any]

    def owns(self, payload: Mapping[str, Any]) -> bool:
        """Whether a page is one of the document as it is now."""
        return payload["version"] == self.version and payload["page_number"] in self.pages


@dataclass(frozen=True, slots=True, eq=False)
class StoredPage:
    """A page of the index.

    Attributes:
        page_id: Stays the same when its document is indexed again.
        source: Its document.
        page_number: 1-based.
        page_label: What is printed on the page ("iv"), or the page number as text.
        page_ref: ``vdr-page:<sha256>`` of the image that was encoded.
        total_pages: Pages of the document.
        text: The text layer, empty for scans.
        grid: Which rows of ``vectors`` are visual tokens; None where tokens were pooled.
        metadata: The caller's, of document and page.
        vectors: float32 (tokens, dimension) as they are stored; None when not asked for.
        dense: float32 (dense dimension,) if there is one and vectors were asked for.
    """

    page_id: str
    source: str
    page_number: int
    page_label: str
    page_ref: str
    total_pages: int
    text: str
    grid: PatchGrid | None
    metadata: dict[str, Any]
    vectors: NDArray[np.float32] | None = None
    dense: NDArray[np.float32] | None = None


def page_id(source: str, page_number: int) -> str:
    """The id of a page, the same whenever and wherever it is indexed."""
    return _uuid("page", source, page_number)


def page_point_id(source: str, page_number: int, version: str) -> str:
    """The id of the point that keeps a page of one version of its document."""
    return _uuid("page", source, page_number, version)


def document_id(source: str) -> str:
    """The id of the point that keeps a document."""
    return _uuid("document", source)


def _uuid(*parts: str | int) -> str:
    return str(uuid.uuid5(_NAMESPACE, json.dumps(parts)))


MANIFEST_ID = _uuid("manifest")


def json_metadata(subject: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of the caller's metadata.

    Raises:
        OptionError: Something that JSON does not hold.
    """
    found = {} if given is None else dict(given)
    try:
        text = json.dumps(found, allow_nan=False)
        copy = json.loads(text)
        text.encode()
    except (TypeError, ValueError) as error:
        raise OptionError(f"{subject}: metadata must be JSON, {error}.") from error
    if copy.keys() != found.keys():
        raise OptionError(f"{subject}: metadata keys must be strings, found {list(found)!r}.")
    return copy


def digest(vectors: NDArray[np.float32]) -> str:
    """SHA-256 of stored token vectors."""
    return hashlib.sha256(np.ascontiguousarray(vectors, "<f4").tobytes()).hexdigest()


def page_payload(
    source: str,
    page: PageRecord,
    *,
    version: str,
    grid: PatchGrid | None,
    vectors_digest: str,
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    """What is kept of a page beside its vectors."""
    return {
        "kind": "page",
        "page_id": page_id(source, page.page_number),
        "source": source,
        "version": version,
        "page_number": page.page_number,
        "page_label": _clean(page.page_label),
        "page_ref": page.page_ref,
        "text": _clean(page.text),
        "grid": None if grid is None else [grid.first, grid.rows, grid.columns],
        "sha256": vectors_digest,
        "metadata": json.dumps(metadata),
        "fields": filterable(metadata),
    }


def document_point(document: CommittedDocument) -> Point:
    """The point whose arrival commits a document."""
    record = document.record
    payload = {
        "kind": "document",
        "source": record.source,
        # Not "version": engines count pages by that.
        "owns": document.version,
        "pages": sorted(document.pages),
        "total_pages": record.total_pages,
        "skipped": [asdict(page) for page in record.skipped],
        "file": asdict(record.file),
        "metadata": json.dumps(document.metadata),
    }
    return Point(document_id(record.source), payload)


def committed_document(point: Point) -> CommittedDocument:
    """The document that a point keeps."""
    payload = point.payload
    record = DocumentRecord(
        source=payload["source"],
        file=FileState(**payload["file"]),
        total_pages=payload["total_pages"],
        skipped=tuple(SkippedPage(**page) for page in payload["skipped"]),
    )
    metadata = json.loads(payload["metadata"])
    return CommittedDocument(record, payload["owns"], frozenset(payload["pages"]), metadata)


def stored_page(
    payload: Mapping[str, Any],
    document: CommittedDocument,
    *,
    vectors: NDArray[np.float32] | None = None,
    dense: NDArray[np.float32] | None = None,
) -> StoredPage:
    """The page that a point keeps."""
    return StoredPage(
        page_id=payload["page_id"],
        source=payload["source"],
        page_number=payload["page_number"],
        page_label=payload["page_label"],
        page_ref=payload["page_ref"],
        total_pages=document.record.total_pages,
        text=payload["text"],
        grid=None if payload["grid"] is None else PatchGrid(*payload["grid"]),
        metadata=json.loads(payload["metadata"]),
        vectors=vectors,
        dense=dense,
    )


def hit_of(payload: Mapping[str, Any], document: CommittedDocument, score: float) -> Hit:
    """The hit that a page is."""
    return Hit(
        source=payload["source"],
        page_number=payload["page_number"],
        score=score,
        page_label=payload["page_label"],
        total_pages=document.record.total_pages,
        page_ref=payload["page_ref"],
        text=payload["text"],
        page_id=payload["page_id"],
        metadata=json.loads(payload["metadata"]),
    )


def _clean(text: str) -> str:
    # Text layers may hold lone surrogates, which no store keeps.
    return text.encode(errors="replace").decode()
