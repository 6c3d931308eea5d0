"""The text that names a page: ``report.pdf, page iv (4 of 12)``. Pure."""

from __future__ import annotations

__all__ = ["citation"]


def citation(
    name: str,
    *,
    page_number: int | None = None,
    page_label: str = "",
    total_pages: int | None = None,
) -> str:
    """The citation of a page.

    Args:
        name: Name of the document, see ``document_name.file_name_of``.
        page_number: 1-based; None if it is not known.
        page_label: What is printed on the page; shown if it differs from the number.
        total_pages: Number of pages of the document; None if it is not known.

    Returns:
        ``report.pdf, page 4 of 12``, or ``report.pdf, page iv (4 of 12)``.
    """
    if page_number is None:
        return name
    total = "" if total_pages is None else f" of {total_pages}"
    if page_label in {"", str(page_number)}:
        return f"{name}, page {page_number}{total}"
    return f"{name}, page {page_label} ({page_number}{total})"
