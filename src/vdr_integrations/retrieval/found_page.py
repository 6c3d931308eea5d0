"""A page that an index or a vector store found, or that the caller has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from vdr_integrations.index.document_name import document_names, file_name_of
from vdr_integrations.index.stored_page import StoredPage, page_id
from vdr_integrations.retrieval.citation import citation
from vdr_integrations.retrieval.page_metadata import TEXT_KEY, file_name_among, page_ref_among
from vdr_integrations.types import Hit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdr_integrations.types import Page

__all__ = ["AnyPage", "FoundPage", "absolute_sources"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPage:
    """What is known about a page.

    Attributes:
        source: The document, a path or another name.
        page_number: 1-based; None if it is not known.
        page_label: What is printed on the page ("iv"), or the page number as text.
        total_pages: Number of pages of the document; None if it is not known.
        page_ref: ``vdr-page:<sha256>`` of the image; None for a hit that is not a page.
        text: The text layer, empty for scans.
        score: Higher is better; None if the search returned none.
        ids: Ids that the page may have in an index; ``page_ref`` decides if it is the same page.
        image: Image of a page that has no reference.
        name: File name to show; empty for that of ``source``.
    """

    source: str
    page_number: int | None = None
    page_label: str = ""
    total_pages: int | None = None
    page_ref: str | None = None
    text: str = ""
    score: float | None = None
    ids: tuple[str, ...] = ()
    image: Page | None = None
    name: str = ""

    @classmethod
    def of(cls, page: AnyPage) -> FoundPage:
        """The page of a hit or of an index; a ``FoundPage`` is returned unchanged."""
        if isinstance(page, FoundPage):
            return page
        return cls(
            source=page.source,
            page_number=page.page_number,
            page_label=page.page_label,
            total_pages=page.total_pages,
            page_ref=page.page_ref,
            text=page.text,
            score=page.score if isinstance(page, Hit) else None,
            ids=_ids(page.page_id, page.source, page.page_number),
            name=file_name_among(page.metadata),
        )

    @classmethod
    def of_metadata(
        cls,
        metadata: Mapping[str, Any],
        *,
        content: str = "",
        text: str = "",
        score: float | None = None,
        document_id: str | None = None,
        image: Page | None = None,
    ) -> FoundPage:
        """The page of a framework's document; metadata of a wrong type counts as unknown.

        Args:
            metadata: Metadata with ``source`` or ``file_path``, ``file_name``, ``page_number``,
                ``page_label``, ``total_pages``, ``page_ref`` and ``page_text``.
            content: Content of the document, if it may be the page's reference.
            text: The text layer, if the metadata has none.
            score: Higher is better.
            document_id: Id of the framework's document.
            image: Image of a page without a reference.
        """
        names = (metadata.get(key) for key in ("source", "file_path", "file_name"))
        sources = [name for name in names if isinstance(name, str) and name]
        number = _whole_number(metadata.get("page_number"))
        label, own = metadata.get("page_label"), metadata.get(TEXT_KEY)
        ref = page_ref_among(metadata, content)
        ids: dict[str, None] = {}
        for source in sources:
            ids |= dict.fromkeys(_ids(document_id, source, number))
        return cls(
            source=sources[0] if sources else document_id or "unknown document",
            page_number=number,
            page_label="" if label is None else str(label),
            total_pages=_whole_number(metadata.get("total_pages")),
            page_ref=None if ref is None else str(ref),
            text=own if isinstance(own, str) else text,
            score=score,
            ids=tuple(ids) or _ids(document_id, "", None),
            image=image,
            name=file_name_among(metadata),
        )

    @property
    def file_name(self) -> str:
        """The name of the document in the citation."""
        return self.name or file_name_of(self.source)

    @property
    def title(self) -> str:
        """``report.pdf page 4``: for messages and labels."""
        number = "" if self.page_number is None else f" page {self.page_number}"
        return f"{self.file_name}{number}"

    @property
    def citation(self) -> str:
        """``report.pdf, page iv (4 of 12)``."""
        return citation(
            self.file_name,
            page_number=self.page_number,
            page_label=self.page_label,
            total_pages=self.total_pages,
        )


AnyPage: TypeAlias = FoundPage | Hit | StoredPage
"""Any object that names a page."""


def _ids(given: str | None, source: str, number: int | None) -> tuple[str, ...]:
    ids = [given] if given else []
    if source and number is not None:
        names = [source, *absolute_sources(source)]
        ids += [page_id(name, number) for name in names]
    return tuple(dict.fromkeys(ids))


def absolute_sources(source: str) -> list[str]:
    """The absolute POSIX paths by which an index may name a document; or the name as it is.

    There are two if the source is a symbolic link: its own path, and that of the file.
    """
    try:
        return document_names(source)
    except (OSError, ValueError, RuntimeError):  # not the path of a file
        return [source]


def _whole_number(found: object) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) else None
