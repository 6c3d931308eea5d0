"""PDFs and images as pages, and the store that keeps the images of pages.

Importing this imports nothing else: a process that opens files is ready sooner.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdr_integrations.pages.drawing.draw_ahead import render_ahead
    from vdr_integrations.pages.file_limits import ImageLimits, RenderLimits
    from vdr_integrations.pages.find_files import find_documents
    from vdr_integrations.pages.images.any_image import ImageSource, open_base64, open_image
    from vdr_integrations.pages.page_store import PageStore, StoreContents
    from vdr_integrations.pages.pdf.pdf_document import PdfDocument, open_pdf
    from vdr_integrations.pages.pdf.pdf_page import PdfPage
    from vdr_integrations.pages.process_limits import ProcessLimits

__all__ = [
    "ImageLimits",
    "ImageSource",
    "PageStore",
    "PdfDocument",
    "PdfPage",
    "ProcessLimits",
    "RenderLimits",
    "StoreContents",
    "find_documents",
    "open_base64",
    "open_image",
    "open_pdf",
    "render_ahead",
]

_HOMES = {
    "ImageLimits": "file_limits",
    "ImageSource": "images.any_image",
    "PageStore": "page_store",
    "PdfDocument": "pdf.pdf_document",
    "PdfPage": "pdf.pdf_page",
    "ProcessLimits": "process_limits",
    "RenderLimits": "file_limits",
    "StoreContents": "page_store",
    "find_documents": "find_files",
    "open_base64": "images.any_image",
    "open_image": "images.any_image",
    "open_pdf": "pdf.pdf_document",
    "render_ahead": "drawing.draw_ahead",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
