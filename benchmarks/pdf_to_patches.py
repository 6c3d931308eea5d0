"""From a page of a PDF to the patches that the model reads: our way and the card's, CPU time.

    python -m benchmarks.pdf_to_patches [--pairs 9]

The card's way: render at 200 dpi, resize, transformers' image processor. Our way: render at the
size of the pixel budget, cut into bytes. Three pages: text, a chart of 20 lines of 100 points, a
scan (a JPEG of 200 dpi). The last columns compare our pixels with the card's (mean absolute
difference, of 255), and the vectors of the bundled checkpoint for both (cosine): for a page drawn
at its size, and for one drawn twice as large and reduced.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pymupdf
from PIL import Image

from benchmarks.card_path import smart_resize
from benchmarks.image_processor import Qwen2VLImageProcessorPil
from benchmarks.sample_pages import DOCUMENTS
from benchmarks.timing import compare, machine
from vdr_integrations import load_encoder, open_pdf
from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED
from vdr_integrations.encoders.checkpoints.model_config import CONFIG, parse_model_config
from vdr_integrations.encoders.preprocessing.prepared import PreparedPage
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from vdr_integrations.pages import PdfPage

_BUDGET = PixelBudget(max_visual_tokens=768)
_FACTS = json.loads((BUNDLED["nano"] / CONFIG).read_text(encoding="utf-8"))
_SIZES = parse_model_config(_FACTS, name="nano", may_project=False).sizes.vision
_PIXELS = {"min_pixels": 28 * 28, "max_pixels": 768 * 28 * 28}
_A4 = (595, 842)
_AT_ONCE = 10  # pages a timing, which is otherwise too short for the clock


def write_pages(folder: Path) -> dict[str, Path]:
    """A PDF of each kind."""
    kinds = {kind: folder / f"{kind}.pdf" for kind in ("text", "chart", "scan")}
    with pymupdf.open(min(DOCUMENTS.glob("*.pdf"))) as source:
        number = max(range(len(source)), key=lambda n: len(source[n].get_text()))
        with pymupdf.open() as text:
            text.insert_pdf(source, from_page=number, to_page=number)
            text.save(kinds["text"])
        pixels = source[number].get_pixmap(dpi=200, alpha=False)
    scan = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
    noise = np.random.default_rng(0).normal(0, 6, (*scan.size[::-1], 1))
    scanned = Image.fromarray((np.asarray(scan) + noise).clip(0, 255).astype(np.uint8))
    jpeg = io.BytesIO()
    scanned.save(jpeg, "JPEG", quality=80)
    with pymupdf.open() as document:
        page = document.new_page(width=_A4[0], height=_A4[1])
        page.insert_image(page.rect, stream=jpeg.getvalue())
        document.save(kinds["scan"])
    rng = np.random.default_rng(1)
    with pymupdf.open() as document:
        page = document.new_page(width=_A4[0], height=_A4[1])
        shape = page.new_shape()
        for colour in rng.random((20, 3)):
            heights = 400 + rng.normal(0, 8, 100).cumsum()
            shape.draw_polyline([(50 + 5 * x, y) for x, y in enumerate(heights)])
            shape.finish(color=tuple(colour), width=1, closePath=False)
        shape.commit()
        for x in range(20):
            page.insert_text((50 + 25 * x, 700), str(2000 + x), fontsize=9)
        document.save(kinds["chart"])
    return kinds


def card_image(path: Path) -> Image.Image:
    """As the card's user would: 200 dpi, then the card's resize."""
    with pymupdf.open(path) as document:
        pixels = document[0].get_pixmap(dpi=200, alpha=False)
        image = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
    return image.resize(smart_resize(image.height, image.width, **_PIXELS))


def ours(page: PdfPage) -> PreparedPage:
    """What the encoder does with a page."""
    return PreparedPage.from_image(page.render(_BUDGET), _SIZES)


def main() -> None:
    """Print a line for each kind of page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    pairs = parser.parse_args().pairs
    print(machine())
    processor = Qwen2VLImageProcessorPil(**_PIXELS)
    encoder = load_encoder("nano", device="cpu", dtype="float32")
    with tempfile.TemporaryDirectory() as scratch:
        for kind, path in write_pages(Path(scratch)).items():
            with open_pdf(path) as document:

                def card(path: Path = path) -> None:
                    for _ in range(_AT_ONCE):
                        processor(images=[card_image(path)], return_tensors="pt")

                def direct(page: PdfPage = document[0]) -> None:
                    for _ in range(_AT_ONCE):
                        ours(page)

                timed = compare(partial(direct), partial(card), pairs=pairs)
                wanted = card_image(path)
                drawn = [document[0].render(_BUDGET, oversampling=n) for n in (1, 2)]

                def finer(page: PdfPage = document[0]) -> None:
                    for _ in range(_AT_ONCE):
                        page.render(_BUDGET, oversampling=2)

                began = time.process_time()
                finer()
                twice = (time.process_time() - began) / _AT_ONCE
            vectors = encoder.encode_pages([*drawn, wanted])
            near = [vector @ vectors[-1] for vector in vectors[:-1]]
            apart = [
                np.abs(np.asarray(one, np.float32) - np.asarray(wanted, np.float32)).mean()
                for one in drawn
            ]
            faster = np.median([theirs / own for own, theirs in timed.cpu])
            own, theirs = (np.median([pair[n] for pair in timed.cpu]) / _AT_ONCE for n in (0, 1))
            print(
                f"{kind}: ours {1000 * own:.1f} ms, card {1000 * theirs:.1f} ms, {faster:.1f} "
                f"times faster; pixels {apart[0]:.1f} of 255 apart, cosine {near[0]:.4f}; "
                f"oversampled {1000 * twice:.1f} ms to draw, {apart[1]:.1f} apart, cosine "
                f"{near[1]:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
