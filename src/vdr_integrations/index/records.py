"""What an index stores about documents and pages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Container

    from vdr_integrations.types import PatchGrid

__all__ = ["NO_FILE", "DocumentRecord", "FileState", "PageRecord", "PageWarning", "SkippedPage"]


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when it was indexed.

    Attributes:
        sha256: SHA-256 of the file's bytes, 64 lower-case hexadecimal digits.
        size_bytes: Length of the file.
        modified_ns: Modification time, nanoseconds since the epoch.
        checked_ns: When the bytes were last read, nanoseconds since the epoch.
    """

    sha256: str
    size_bytes: int
    modified_ns: int
    checked_ns: int


NO_FILE = FileState(sha256="0" * 64, size_bytes=0, modified_ns=0, checked_ns=0)
"""The state of a document that was not made from a file. No file has it, so ``sync_index`` sees
such a document as out of date if there is a file of its name."""


@dataclass(frozen=True, slots=True)
class SkippedPage:
    """A page that could not be indexed although the rest of its document could.

    Attributes:
        page_number: 1-based.
        reason: The error message, naming document and page.
        memory_mb: Limit of memory that it was tried with, if it did not keep the limits of a page;
            else 0.
        page_timeout_s: Limit of CPU time that it was tried with, likewise.
    """

    page_number: int
    reason: str
    memory_mb: int = 0
    page_timeout_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PageWarning:
    """What is missing or wrong in the image of a page that is in the index.

    Attributes:
        page_number: 1-based.
        message: One sentence, which names neither document nor page.
    """

    page_number: int
    message: str


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document of the index.

    Attributes:
        source: Absolute POSIX path, or another name of the document; unique in the index.
        file: The file's state when it was indexed.
        total_pages: Pages of the document, the skipped ones included.
        skipped: Pages that are not in the index.
        warnings: Warnings of its pages, by page number. An index takes them from the pages when the
            document is committed, so a given value does not count.
    """

    source: str
    file: FileState
    total_pages: int
    skipped: tuple[SkippedPage, ...] = ()
    warnings: tuple[PageWarning, ...] = ()

    def with_pages(self, numbers: Container[int]) -> Self:
        """The document without the warnings of other pages than these."""
        kept = tuple(one for one in self.warnings if one.page_number in numbers)
        return replace(self, warnings=kept)


@dataclass(frozen=True, slots=True)
class PageRecord:
    """What an index stores about a page, apart from its vectors.

    Attributes:
        page_number: 1-based.
        page_label: What is printed on the page ("iv"), or the page number as text.
        page_ref: ``vdr-page:<sha256>`` of the image that was encoded.
        text: The text layer, empty for scans.
        grid: Where its visual tokens are; stored by late-interaction indexes.
        warnings: What is missing or wrong in the image, one sentence each.
    """

    page_number: int
    page_label: str
    page_ref: str
    text: str = ""
    grid: PatchGrid | None = None
    warnings: tuple[str, ...] = ()
