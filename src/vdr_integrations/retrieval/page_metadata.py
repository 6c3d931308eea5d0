"""What both frameworks know of a page: the keys of its metadata, and their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from vdr_integrations.index.document_name import file_name_of
from vdr_integrations.index.stored_page import page_id
from vdr_integrations.retrieval.citation import citation
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdr_integrations.types import Hit

__all__ = [
    "CITATION_KEY",
    "FACT_KEYS",
    "FILE_NAME_KEY",
    "PAGE_ID_KEY",
    "PAGE_KEY",
    "TEXT_KEY",
    "ReadPage",
    "file_name_among",
    "page_ref_among",
    "warnings_among",
]

PAGE_KEY = "page_ref"
"""Metadata key of the page reference."""

PAGE_ID_KEY = "page_id"
"""Metadata key of the id that a page has everywhere."""

CITATION_KEY = "citation"
FILE_NAME_KEY = "file_name"
TEXT_KEY = "page_text"
"""Metadata keys of citation, file name and text layer. Vector stores use "text" themselves."""

_WARNINGS_KEY = "page_warnings"

FACT_KEYS = (
    "source",
    FILE_NAME_KEY,
    "page_number",
    "page_label",
    "total_pages",
    PAGE_KEY,
    PAGE_ID_KEY,
    CITATION_KEY,
    TEXT_KEY,
    _WARNINGS_KEY,
)
"""The keys that each page has."""


@dataclass(frozen=True, slots=True)
class ReadPage:
    """A page whose image is in the store.

    Attributes:
        source: The document: an absolute path, a URL, or ``sha256:<digest>``.
        page_number: 1-based.
        page_label: What is printed on the page ("iv"), or the page number as text.
        total_pages: Number of pages of the document.
        page_ref: ``vdr-page:<sha256>`` of the image.
        text: The text layer, empty for scans.
        warnings: What is missing or wrong in the image, one sentence each.
        name: File name to show; empty for that of ``source``.
    """

    source: str
    page_number: int
    page_label: str
    total_pages: int
    page_ref: str
    text: str
    warnings: tuple[str, ...] = ()
    name: str = ""

    @classmethod
    def of(cls, hit: Hit) -> Self:
        """The page of a hit."""
        return cls(
            name=file_name_among(hit.metadata),
            source=hit.source,
            page_number=hit.page_number,
            page_label=hit.page_label,
            total_pages=hit.total_pages,
            page_ref=hit.page_ref,
            text=hit.text,
            warnings=hit.warnings,
        )

    @property
    def file_name(self) -> str:
        """The name of the document in the citation."""
        return self.name or file_name_of(self.source)

    @property
    def facts(self) -> dict[str, Any]:
        """Metadata that a page has in both frameworks, with the same keys: texts and numbers.

        ``page_id`` is the id that the page has in every index and framework. ``page_warnings`` has
        one sentence a line. There are no lists, which many vector stores refuse, and all pages have
        the same keys, because in some stores the first page decides which keys there are.
        """
        return {
            "source": self.source,
            FILE_NAME_KEY: self.file_name,
            "page_number": self.page_number,
            "page_label": self.page_label,
            "total_pages": self.total_pages,
            PAGE_KEY: self.page_ref,
            PAGE_ID_KEY: self.page_id,
            CITATION_KEY: self.citation,
            TEXT_KEY: self.text,
            _WARNINGS_KEY: "\n".join(self.warnings),
        }

    @property
    def page_id(self) -> str:
        """The id of the page, as in ``Hit.page_id``; it depends on source and page number alone."""
        return page_id(self.source, self.page_number)

    @property
    def citation(self) -> str:
        """``report.pdf, page iv (4 of 12)``."""
        return citation(
            self.file_name,
            page_number=self.page_number,
            page_label=self.page_label,
            total_pages=self.total_pages,
        )


def page_ref_among(metadata: Mapping[str, Any], content: str = "") -> PageRef | None:
    """The page reference in a document's metadata; else its content, if that is a reference.

    The pipeline wrote the metadata. The content may be the text layer of a page, which the author
    of the page wrote; it counts only if there is no reference in the metadata.
    """
    for text in (metadata.get(PAGE_KEY), content):
        if isinstance(text, str) and (ref := PageRef.parse(text)) is not None:
            return ref
    return None


def file_name_among(metadata: Mapping[str, Any]) -> str:
    """The file name in a document's metadata; empty if it names none."""
    found = metadata.get(FILE_NAME_KEY)
    return found if isinstance(found, str) else ""


def warnings_among(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The warnings of a page in a document's metadata."""
    found = metadata.get(_WARNINGS_KEY)
    return tuple(found.splitlines()) if isinstance(found, str) else ()
