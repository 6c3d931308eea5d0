"""Questions, and pages of the bundled demo documents at 200 dpi, as a user of the card has them."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

__all__ = ["sample_pages", "sample_questions"]

DOCUMENTS = Path(__file__).resolve().parent.parent / "demo" / "documents"


def sample_pages(count: int) -> list[Image.Image]:
    """The page in the middle of each document, in turn."""
    import pymupdf

    images: list[Image.Image] = []
    for path in sorted(DOCUMENTS.glob("*.pdf"))[:count]:
        with pymupdf.open(path) as document:
            page = document[len(document) // 2]
            pixels = page.get_pixmap(dpi=200, alpha=False)
            images.append(Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples))
    if len(images) < count:
        raise SystemExit(f"{DOCUMENTS} holds {len(images)} PDFs, {count} are needed")
    return images


def sample_questions(count: int) -> list[str]:
    """Questions of the demo, of different lengths and languages."""
    known = json.loads((DOCUMENTS.parent / "questions.json").read_text(encoding="utf-8"))
    return [one["question"] for one in known[:count]]
