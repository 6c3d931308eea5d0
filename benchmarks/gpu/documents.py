"""From PDFs to vectors: drawing, preparing and the model together."""

from __future__ import annotations

import importlib.util
import time
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING

from PIL import Image

from benchmarks.gpu.inside import batches, prepared
from benchmarks.gpu.report import SkippedError
from benchmarks.sample_pages import DOCUMENTS
from vdr_integrations import open_pdf
from vdr_integrations.errors import MissingExtraError
from vdr_integrations.pages import render_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.gpu.bench import Bench
    from benchmarks.gpu.clock import Clock
    from benchmarks.gpu.report import Table
    from vdr_integrations.pages import PdfPage

__all__ = ["run"]

_CARD_DPI = 200


def run(bench: Bench, table: Table, clock: Clock) -> None:
    """Pages of the demo's documents, again and again: a row for each way of drawing."""
    if importlib.util.find_spec("pymupdf") is None:
        raise SkippedError("pymupdf is not installed here, and not in an archive")
    left = len(bench.sizes.workers) + 1
    for workers in bench.sizes.workers:
        try:
            _ours(bench, table, clock.part(left), workers=workers)
        except MissingExtraError as error:
            table.note(f"{workers} processes: {error}")
        left -= 1
    if "card" in bench.ways:
        _card(bench, table, clock)
    table.note("The start of processes is left out; pages are of the demo's PDFs.")


def _ours(bench: Bench, table: Table, clock: Clock, *, workers: int) -> None:
    encoder, wanted = bench.models.ours, bench.sizes.documents
    # A first page, drawn and encoded, is not counted.
    drawn = render_ahead(islice(_pages(), wanted + 1), budget=encoder.pixel_budget, workers=workers)
    warm = next(drawn)
    encoder.encode_pages([warm])
    with batches(encoder) as seen:
        began = time.perf_counter()
        done = len(encoder.encode_pages(clock.while_left(drawn)))
        seconds = time.perf_counter() - began
    drawn.close()
    _row(
        bench,
        table,
        way=f"ours, {workers} processes",
        done=done,
        seconds=seconds,
        ran=[one.pages for one in seen],
    )


def _card(bench: Bench, table: Table, clock: Clock) -> None:
    card, dimension = bench.models.card, bench.models.ours.dimension
    at_once = min(max(bench.sizes.batches), bench.sizes.card_documents)
    pictures = _pictures()
    card.encode_documents([next(pictures)], dimension)
    ran: list[int] = []
    began = time.perf_counter()
    while not ran or (clock.left > 0 and sum(ran) < bench.sizes.card_documents):
        some = list(islice(pictures, at_once))
        card.encode_documents(some, dimension)
        ran.append(len(some))
    seconds = time.perf_counter() - began
    _row(bench, table, way=f"card, {_CARD_DPI} dpi", done=sum(ran), seconds=seconds, ran=ran)


def _row(
    bench: Bench, table: Table, *, way: str, done: int, seconds: float, ran: list[int]
) -> None:
    [page] = prepared(bench.models.ours, list(islice(_pages(), 1)))
    table.row(
        way=way,
        pages=done,
        batches_that_ran=ran,
        pages_per_s=done / seconds,
        share_of_product=bench.share_of_products(bench.models.ours, page, done / seconds),
    )


def _pages() -> Iterator[PdfPage]:
    return chain.from_iterable(open_pdf(path) for path in cycle(sorted(DOCUMENTS.glob("*.pdf"))))


def _pictures() -> Iterator[Image.Image]:
    """As the card's user draws them."""
    import pymupdf

    for path in cycle(sorted(DOCUMENTS.glob("*.pdf"))):
        with pymupdf.open(path) as document:
            for page in document:
                pixels = page.get_pixmap(dpi=_CARD_DPI, alpha=False)
                yield Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
