"""PDFs and images as pages, and the store that keeps their pictures.

Importing this does not import PyMuPDF; opening a PDF does.
"""

from vdr_integrations.pages.ahead import PagePrinter, look_ahead, render_ahead
from vdr_integrations.pages.batch import read_pages
from vdr_integrations.pages.find import find_documents
from vdr_integrations.pages.images import ImageSource, open_base64, open_image
from vdr_integrations.pages.limits import ImageLimits, RenderLimits
from vdr_integrations.pages.pdf_document import PdfDocument, open_pdf
from vdr_integrations.pages.pdf_page import PdfPage
from vdr_integrations.pages.store import PageStore

__all__ = [
    "ImageLimits",
    "ImageSource",
    "PagePrinter",
    "PageStore",
    "PdfDocument",
    "PdfPage",
    "RenderLimits",
    "find_documents",
    "look_ahead",
    "open_base64",
    "open_image",
    "open_pdf",
    "read_pages",
    "render_ahead",
]
