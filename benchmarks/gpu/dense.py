"""Dense vectors of pages and queries: our way and the card's."""

from __future__ import annotations

import copy
import statistics
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.gpu.bench import least_cosine
from benchmarks.gpu.inside import timed_batches, tokens_of
from benchmarks.sample_pages import sample_questions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.gpu.bench import Bench
    from benchmarks.gpu.clock import Clock
    from benchmarks.gpu.report import Table

__all__ = ["fidelity", "measure_queries", "pages", "queries", "setup"]

_CARD_TABLE_GB = {4: 6.9, 8: 8.8, 16: 11.5, 32: 19.7}
"""Model card of llamaindex/vdr-2b-multi-v1: GB at each batch size."""


def setup(bench: Bench, table: Table, clock: Clock) -> None:
    """Draw or find the weights and load them once for each way."""
    del clock
    models = bench.models
    models.ours  # noqa: B018  # loads it
    held = {"ours loaded": bench.memory.gigabytes("ours")}
    if "card" in bench.ways:
        models.card  # noqa: B018
        held["card loaded"] = bench.memory.gigabytes("card")
    for what, seconds in models.seconds.items():
        table.row(what=what, seconds=seconds, driver_GB=held.get(what))


def pages(bench: Bench, table: Table, clock: Clock) -> None:
    """Pages a second and memory by batch size, of pages that are prepared already."""
    sizes, ours = bench.sizes, bench.models.ours
    prepared = bench.pages(ours, max(*sizes.batches, sizes.stream))
    visual, prompt = tokens_of(ours, prepared[0])
    left = len(bench.ways) * len(sizes.batches) + 1
    for batch in (*sizes.batches, sizes.stream):
        for way in bench.ways:
            if way == "card" and batch == sizes.stream:
                continue
            work = _work(bench, way, batch)
            bench.memory.give_back()
            ran, took = timed_batches(ours, work, clock.part(left), at_most=sizes.rounds)
            left -= 1
            speed = batch / statistics.median(took)
            table.row(
                way=way,
                pages=batch,
                batches_that_ran=ran or [batch],
                tokens_a_page=visual + prompt,
                visual_tokens=visual,
                pages_per_s=speed,
                share_of_product=bench.share_of_products(ours, prepared[0], speed),
                driver_GB=bench.memory.gigabytes(way),
                card_table_GB=_CARD_TABLE_GB.get(batch) if not bench.options.tiny else None,
                rounds=len(took),
            )
    table.note(
        "Medians of rounds after one that is not timed. driver GB: what the driver counts as "
        "used after the rounds, context and torch's unused blocks included, less what was used "
        "before we began and the weights of the other way; torch gives nothing back meanwhile, "
        "so it is the peak."
    )


def _work(bench: Bench, way: str, count: int) -> Callable[[], object]:
    if way == "ours":
        return partial(bench.models.ours.encode_pages, bench.pages(bench.models.ours, count))
    card = bench.models.card
    inputs = card.prepare_documents(bench.images[:count])
    return partial(card.encode_prepared, inputs, bench.models.ours.dimension)


def fidelity(bench: Bench, table: Table, clock: Clock) -> None:
    """Cosine to the card's vectors, of the same pixels on the same device."""
    # What only the card's way needs takes seconds to import: not in a process of ours only.
    from benchmarks.card_path import CardPath

    del clock
    ours, sizes = bench.models.ours, bench.sizes
    images, asked = bench.images[: sizes.compared], sample_questions(sizes.compared)
    card = bench.models.card
    exact = CardPath(
        bench.models.folder,
        max_visual_tokens=sizes.visual_tokens,
        device=bench.options.device,
        model=copy.deepcopy(card.model).float(),
    )
    vectors = {"ours": (ours.encode_pages(images), ours.encode_queries(asked))}
    for name, path in {"card": card, "card in float32": exact}.items():
        vectors[name] = (
            np.concatenate([path.encode_documents([page], ours.dimension) for page in images]),
            np.concatenate([path.encode_queries([text], ours.dimension) for text in asked]),
        )
    del exact, path
    bench.memory.give_back()
    for place, what in enumerate(("pages", "queries")):
        for one, other in (
            ("ours", "card"),
            ("ours", "card in float32"),
            ("card", "card in float32"),
        ):
            least, mean = least_cosine(vectors[one][place], vectors[other][place])
            table.row(
                what=f"{sizes.compared} {what}",
                of=one,
                beside=other,
                cosine_least=least,
                cosine_mean=mean,
            )
    table.note(
        "In 16 bits two ways of computing the same differ by rounding: the last row of each "
        "says how far the card's own way is from itself."
    )


def queries(bench: Bench, table: Table, clock: Clock) -> None:
    """Milliseconds of questions, one at a time and all at once."""
    ours = bench.models.ours
    asked = sample_questions(bench.sizes.questions)
    ways: dict[str, Callable[[Sequence[str]], object]] = {"ours": ours.encode_queries}
    if "card" in bench.ways:
        ways["card"] = lambda texts: bench.models.card.encode_queries(texts, ours.dimension)
    measure_queries(bench, table, clock, ways=ways, asked=asked)


def measure_queries(
    bench: Bench,
    table: Table,
    clock: Clock,
    *,
    ways: dict[str, Callable[[Sequence[str]], object]],
    asked: list[str],
) -> None:
    """A row for each way and number of questions."""
    left = 2 * len(ways)
    for at_once in (1, len(asked)):
        groups = [asked[n : n + at_once] for n in range(0, len(asked), at_once)]
        for way, encode in ways.items():
            mine = clock.part(left)
            first = mine.seconds(partial(encode, groups[0]), at_most=1)[0]
            took: list[float] = []
            for _ in range(bench.sizes.rounds):
                took += [mine.seconds(partial(encode, group), at_most=1)[0] for group in groups]
                if mine.left <= 0:
                    break
            left -= 1
            median, slow = np.percentile(took, [50, 95])
            table.row(
                way=way,
                queries=at_once,
                p50_ms=1000 * float(median),
                p95_ms=1000 * float(slow),
                first_ms=1000 * first,
                calls=len(took),
                share_of_reading=bench.share_of_reading(float(median)),
            )
