"""ColQwen2: pages and queries as matrices, our way and colpali-engine's."""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.gpu.bench import least_cosine
from benchmarks.gpu.dense import measure_queries
from benchmarks.gpu.inside import timed_batches, tokens_of
from benchmarks.sample_pages import sample_questions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.gpu.bench import Bench
    from benchmarks.gpu.clock import Clock
    from benchmarks.gpu.report import Table

__all__ = ["run"]


def run(bench: Bench, table: Table, clock: Clock) -> None:
    """Pages a second and memory, query times, and the cosine of every token's vector."""
    ours, compared = bench.models.ours_late, bench.sizes.compared
    _pages(bench, table, clock.part(2))
    ways: dict[str, Callable[[Sequence[str]], object]] = {"ours": ours.encode_queries}
    asked = sample_questions(bench.sizes.questions)
    if "card" in bench.ways:
        card = bench.models.card_late
        ways["engine"] = card.encode_queries
        images = bench.images[:compared]
        for what, found, expected in (
            ("pages", ours.encode_pages(images), card.encode_pages(images)),
            ("queries", ours.encode_queries(asked), card.encode_queries(asked)),
        ):
            least, mean = least_cosine(found, expected)
            table.row(
                way=f"ours : engine, {len(found)} {what}", cosine_least=least, cosine_mean=mean
            )
    measure_queries(bench, table, clock, ways=ways, asked=asked)
    bench.models.free("card_late")
    bench.models.free("ours_late")


def _pages(bench: Bench, table: Table, clock: Clock) -> None:
    ours, sizes = bench.models.ours_late, bench.sizes
    prepared = bench.pages(ours, max(sizes.late_batches))
    left = len(bench.ways) * len(sizes.late_batches)
    for batch in sizes.late_batches:
        for way in bench.ways:
            if way == "ours":
                work = partial(ours.encode_pages, prepared[:batch])
                held = "ours late"
            else:
                card, held = bench.models.card_late, "card"
                inputs = card.prepare_pages(bench.images[:batch])
                work = partial(card.encode_prepared, inputs)
            bench.memory.give_back()
            ran, took = timed_batches(ours, work, clock.part(left), at_most=sizes.rounds)
            left -= 1
            speed = batch / statistics.median(took)
            table.row(
                way="ours" if way == "ours" else "engine",
                pages=batch,
                batches_that_ran=ran or [batch],
                tokens_a_page=sum(tokens_of(ours, prepared[0])),
                pages_per_s=speed,
                share_of_product=bench.share_of_products(ours, prepared[0], speed, late=True),
                driver_GB=bench.memory.gigabytes(held),
            )
