"""Visual document retrieval for LlamaIndex and LangChain.

Importing the package is cheap: torch, PyMuPDF and the frameworks are imported by the first name
that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdr_integrations.encoders import (
        DenseEncoder,
        MultiVectorEncoder,
        PairedEncoder,
        load_encoder,
    )
    from vdr_integrations.errors import VdrError
    from vdr_integrations.pages import PageStore, PdfDocument, open_image, open_pdf
    from vdr_integrations.retrieval import PageSearcher
    from vdr_integrations.types import Hit, Page, PageImage, PageRef, PixelBudget

__version__ = "0.1.0"

__all__ = [
    "DenseEncoder",
    "Hit",
    "MultiVectorEncoder",
    "Page",
    "PageImage",
    "PageRef",
    "PageSearcher",
    "PageStore",
    "PairedEncoder",
    "PdfDocument",
    "PixelBudget",
    "VdrError",
    "load_encoder",
    "open_image",
    "open_pdf",
]

_HOMES = {
    "DenseEncoder": "encoders",
    "Hit": "types",
    "MultiVectorEncoder": "encoders",
    "Page": "types",
    "PageImage": "types",
    "PageRef": "types",
    "PageSearcher": "retrieval",
    "PageStore": "pages",
    "PairedEncoder": "encoders",
    "PdfDocument": "pages",
    "PixelBudget": "types",
    "VdrError": "errors",
    "load_encoder": "encoders",
    "open_image": "pages",
    "open_pdf": "pages",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
