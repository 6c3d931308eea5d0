"""Convert documents and pages to points of a collection, and back. Pure.

Each point holds one JSON text with a digest, and only that text counts: a server returns a text
exactly as it was sent, to the last digit of each number. The other fields of a payload are for
searches, and must agree with the text. ``words`` and ``listed`` only decide how fast searches are.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vdr_integrations.index.page_filter import filterable
from vdr_integrations.index.records import DocumentRecord, FileState, PageWarning, SkippedPage
from vdr_integrations.index.server.collection import DENSE, TOKENS, Point
from vdr_integrations.index.server.troubles import altered
from vdr_integrations.index.server.words_payload import encoded_words
from vdr_integrations.index.stored_page import StoredPage, page_id, stable_id
from vdr_integrations.types import PatchGrid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vdr_integrations.errors import IndexFormatError
    from vdr_integrations.index.staged_document import PreparedPage

__all__ = [
    "CommittedDocument",
    "KeptPage",
    "codes_digest",
    "document_id",
    "document_name",
    "document_point",
    "kept_page",
    "page_point",
    "page_point_id",
    "read_document",
    "text_digest",
    "to_json",
    "vectors_digest",
]


@dataclass(frozen=True, slots=True)
class CommittedDocument:
    """A document as the collection stores it.

    Attributes:
        record: The document as callers see it.
        index_id: Id of the index to which it was written.
        version: Version of its pages; pages of another version do not count.
        pages: Numbers of the pages that can be found.
    """

    record: DocumentRecord
    index_id: str
    version: str
    pages: frozenset[int]

    def point_ids(self) -> dict[int, str]:
        """Ids of the points of its pages, by page number."""
        source = self.record.source
        return {
            number: page_point_id(source, number, self.version) for number in sorted(self.pages)
        }


@dataclass(frozen=True, slots=True, eq=False)
class KeptPage:
    """A page as it was written; its document decides whether it counts.

    Attributes:
        page: The page, with ``total_pages`` 0; its document has that number.
        index_id: Id of the index to which it was written.
        version: Version of its document.
        vectors: Digest of its vectors.
    """

    page: StoredPage
    index_id: str
    version: str
    vectors: str

    @property
    def where(self) -> str:
        """The name of the page in messages."""
        return f"{self.page.source} page {self.page.page_number}"

    def is_of(self, document: CommittedDocument | None) -> bool:
        """Whether the page counts, given the document of its name."""
        return (
            document is not None
            and document.record.source == self.page.source
            and document.version == self.version
            and self.page.page_number in document.pages
        )


def page_point_id(source: str, page_number: int, version: str) -> str:
    """The id of the point of a page in one version of its document."""
    return stable_id("page", source, page_number, version)


def document_id(source: str) -> str:
    """The id of the point of a document."""
    return stable_id("document", source)


def to_json(found: object) -> str:
    """JSON with sorted keys."""
    return json.dumps(found, sort_keys=True, ensure_ascii=False)


def text_digest(point_id: str, text: str) -> str:
    """SHA-256 of the id and the JSON text of a point."""
    return hashlib.sha256(f"{point_id}\n{text}".encode()).hexdigest()


def vectors_digest(vectors: Mapping[str, NDArray[np.float32]]) -> str:
    """SHA-256 of a page's vectors as the server returns them."""
    made = hashlib.sha256()
    for name in (TOKENS, DENSE):
        rows = vectors.get(name)
        made.update(f"{name} {None if rows is None else rows.shape}\n".encode())
        if rows is not None:
            # Adding zero turns -0.0, which JSON may lose, into 0.0.
            made.update(np.ascontiguousarray(rows + np.float32(0), "<f4").data)
    return made.hexdigest()


def codes_digest(point_id: str, listed: str, codes: NDArray[np.uint16]) -> str:
    """SHA-256 of a page's centroids."""
    made = hashlib.sha256(f"{point_id}\n{listed}\n".encode())
    made.update(np.sort(codes).astype("<u2").tobytes())
    return made.hexdigest()


def page_point(
    page: PreparedPage,
    vectors: dict[str, NDArray[np.float32]],
    *,
    source: str,
    version: str,
    index_id: str,
) -> Point:
    """The point of a page that is not listed yet.

    Args:
        page: The page.
        vectors: Its vectors as they are stored.
        source: Name of its document.
        version: Version of the document.
        index_id: Id of the index.
    """
    record = page.record
    number, grid = record.page_number, record.grid
    point_id = page_point_id(source, number, version)
    found: dict[str, Any] = {
        "index": index_id,
        "source": source,
        "version": version,
        "number": number,
        "label": record.page_label,
        "ref": record.page_ref,
        "text": record.text,
        "grid": None if grid is None else [grid.first, grid.rows, grid.columns],
        "bias": page.bias,
        "metadata": page.metadata,
        "vectors": vectors_digest(vectors),
    }
    if record.warnings:
        found["warnings"] = record.warnings
    content = to_json(found)
    digest = text_digest(point_id, content)
    payload: dict[str, Any] = {
        "kind": "page",
        "source": source,
        "version": version,
        "page_number": number,
        "page_id": page_id(source, number),
        "page_ref": record.page_ref,
        "bias": page.bias,
        "fields": filterable(page.metadata, source=source),
        "content": content,
        "sha256": digest,
        "words": encoded_words(point_id, digest, record.text),
        "listed": "",
    }
    return Point(point_id, payload, vectors)


def kept_page(point: Point, *, location: str) -> KeptPage:
    """The page of a point.

    Raises:
        IndexFormatError: The point is not what was written; the message names the page.
    """
    payload = point.payload
    content = payload.get("content")
    if not isinstance(content, str) or text_digest(point.id, content) != payload.get("sha256"):
        source, number = payload.get("source"), payload.get("page_number")
        raise altered(location, f"{source} page {number}", "its record was altered")
    found = json.loads(content)
    source, number, metadata = found["source"], found["number"], found["metadata"]
    kept = KeptPage(
        page=StoredPage(
            page_id=page_id(source, number),
            source=source,
            page_number=number,
            page_label=found["label"],
            page_ref=found["ref"],
            total_pages=0,
            text=found["text"],
            grid=None if found["grid"] is None else PatchGrid(*found["grid"]),
            metadata=metadata,
            bias=found["bias"],
            warnings=tuple(found.get("warnings", [])),
        ),
        index_id=found["index"],
        version=found["version"],
        vectors=found["vectors"],
    )
    searched_by = {
        "kind": "page",
        "source": source,
        "version": kept.version,
        "page_number": number,
        "page_id": kept.page.page_id,
        "page_ref": kept.page.page_ref,
    }
    if any(payload.get(name) != value for name, value in searched_by.items()) or not _is_alike(
        {"bias": [payload.get("bias")]}, {"bias": [kept.page.bias]}
    ):
        raise altered(location, kept.where, "a field for searches was altered")
    if not _is_alike(payload.get("fields"), filterable(metadata, source=source)):
        raise altered(location, kept.where, "metadata for searches was altered")
    return kept


def document_point(document: CommittedDocument) -> Point:
    """The point of a document; to write it is to commit the document."""
    record = document.record
    point_id = document_id(record.source)
    found: dict[str, Any] = {
        "index": document.index_id,
        "source": record.source,
        "version": document.version,
        "pages": sorted(document.pages),
        "total_pages": record.total_pages,
        "skipped": [asdict(page) for page in record.skipped],
        "file": asdict(record.file),
    }
    if record.warnings:
        found["warnings"] = [asdict(one) for one in record.warnings]
    text = to_json(found)
    payload = {
        "kind": "document",
        "source": record.source,
        # Not "version", because pages are counted by that field.
        "owns": document.version,
        "record": text,
        "sha256": text_digest(point_id, text),
    }
    return Point(point_id, payload)


def read_document(point: Point, *, location: str) -> CommittedDocument:
    """The document of a point.

    Raises:
        IndexFormatError: The point is not what was written; the message names the document.
    """
    payload = point.payload
    source, text = payload.get("source"), payload.get("record")
    if (
        not isinstance(source, str)
        or document_id(source) != point.id
        or not isinstance(text, str)
        or text_digest(point.id, text) != payload.get("sha256")
    ):
        raise _altered_document(point, location)
    found = json.loads(text)
    if (payload.get("kind"), payload.get("owns")) != ("document", found["version"]):
        raise _altered_document(point, location)
    record = DocumentRecord(
        source=found["source"],
        file=FileState(**found["file"]),
        total_pages=found["total_pages"],
        skipped=tuple(SkippedPage(**page) for page in found["skipped"]),
        warnings=tuple(PageWarning(**one) for one in found.get("warnings", [])),
    )
    return CommittedDocument(record, found["index"], found["version"], frozenset(found["pages"]))


def document_name(point: Point) -> str:
    """The most likely name of a document whose point was altered."""
    names = [point.payload.get("source")]
    with suppress(KeyError, TypeError, ValueError):
        names.append(json.loads(point.payload["record"])["source"])
    texts = [name for name in names if isinstance(name, str)]
    right = [name for name in texts if document_id(name) == point.id]
    return (right or texts or [point.id])[0]


def _altered_document(point: Point, location: str) -> IndexFormatError:
    return altered(location, document_name(point), "its record was altered")


def _is_alike(found: object, written: dict[str, list[Any]]) -> bool:
    """Whether metadata is what was written; the last digit of numbers may differ."""
    if not isinstance(found, dict) or found.keys() != written.keys():
        return False
    for key, items in written.items():
        others = found[key]
        if not isinstance(others, list) or len(others) != len(items):
            return False
        for item, other in zip(items, others, strict=True):
            if isinstance(item, str) or not isinstance(other, int | float):
                if item != other:
                    return False
            elif abs(item - other) > 1e-15 * abs(item):
                return False
    return True
