"""PDFs and images as pages, and the store that keeps the images of pages.

Importing this does not import PyMuPDF; opening a PDF does.
"""

from vdr_integrations.pages.drawing.draw_ahead import render_ahead
from vdr_integrations.pages.file_limits import ImageLimits, RenderLimits
from vdr_integrations.pages.find_files import find_documents
from vdr_integrations.pages.images.any_image import ImageSource, open_base64, open_image
from vdr_integrations.pages.page_store import PageStore, StoreContents
from vdr_integrations.pages.pdf.pdf_document import PdfDocument, open_pdf
from vdr_integrations.pages.pdf.pdf_page import PdfPage

__all__ = [
    "ImageLimits",
    "ImageSource",
    "PageStore",
    "PdfDocument",
    "PdfPage",
    "RenderLimits",
    "StoreContents",
    "find_documents",
    "open_base64",
    "open_image",
    "open_pdf",
    "render_ahead",
]
