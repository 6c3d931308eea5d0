"""A forced shortage of memory: it must give the same vectors, from smaller batches."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

import torch

from benchmarks.gpu.bench import least_cosine
from benchmarks.gpu.inside import Batch, batches, taking_prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from benchmarks.gpu.bench import Bench
    from benchmarks.gpu.clock import Clock
    from benchmarks.gpu.report import Table

__all__ = ["limited", "run"]

_SHARES = (0.7, 0.5, 0.35, 0.25)
"""Of what the pages need beside the weights, tried in turn until it is too little for one batch."""

_AT_LEAST = {torch.float32: 0.99999, torch.bfloat16: 0.999, torch.float16: 0.999}
"""Cosine of vectors that are the same but for the rounding of batches of another size."""


def run(bench: Bench, table: Table, clock: Clock) -> None:
    """Compare vectors with and without it; raise where there was none, or they differ."""
    del clock
    ours, count = bench.models.ours, bench.sizes.short
    pages = bench.pages(ours, count)
    with taking_prepared(ours):
        with batches(ours) as calm:
            expected, needed = _needed(bench, lambda: ours.encode_pages(pages))
        _row(table, "ours", "enough", calm, ends_in="vectors")
        most = max(one.pages for one in calm)
        for share in _SHARES:
            room = None if needed is not None else most // 2
            with limited(bench, share, needed), batches(ours, room=room) as seen:
                found = ours.encode_pages(pages)
            if not all(one.fitted for one in seen):
                break
        else:
            raise RuntimeError("every batch fitted, however little memory was left")
    least, _ = least_cosine(found, expected)
    same = least >= _AT_LEAST[bench.models.dtype]
    memory = f"{share:.0%} of that" if needed is not None else f"pretended: {room} pages"
    ends_in = "the same vectors" if same else "other vectors"
    _row(table, "ours", memory, seen, ends_in=ends_in, cosine_least=least)
    if "card" in bench.ways:
        with limited(bench, share, needed):
            ends_in = _card(bench, room)
        batch = Batch(count, fitted=ends_in == "vectors")
        _row(table, "card", memory, [batch], ends_in=ends_in)
    # It makes smaller batches from now on, so nobody may measure it again.
    bench.models.free("ours")
    if not same:
        raise RuntimeError(f"vectors differ: cosine {least:.6f}")


def _row(
    table: Table,
    way: str,
    memory: str,
    seen: list[Batch],
    *,
    ends_in: str,
    cosine_least: float | None = None,
) -> None:
    table.row(
        way=way,
        memory=memory,
        batches_that_ran=[one.pages for one in seen if one.fitted],
        did_not_fit=[one.pages for one in seen if not one.fitted],
        ends_in=ends_in,
        cosine_least=cosine_least,
    )


def _card(bench: Bench, room: int | None) -> str:
    """What the same memory is for the card's way, which does not look out for a shortage."""
    card, count, ours = bench.models.card, bench.sizes.short, bench.models.ours
    inputs = card.prepare_documents(bench.images[:count])
    try:
        with _pretending(card.model, count, room):
            card.encode_prepared(inputs, ours.dimension)
    except torch.OutOfMemoryError as error:
        return type(error).__name__
    return "vectors"


def _needed(bench: Bench, work: Callable[[], object]) -> tuple[object, int | None]:
    """What the work gives, and the bytes it takes beside what is there; None on a CPU."""
    if bench.device.type != "cuda":
        return work(), None
    bench.memory.give_back()
    before = torch.cuda.memory_allocated(bench.device)
    torch.cuda.reset_peak_memory_stats(bench.device)
    found = work()
    return found, torch.cuda.max_memory_allocated(bench.device) - before


@contextmanager
def limited(bench: Bench, share: float, needed: int | None) -> Generator[None]:
    """Memory for the share alone; nothing where it is not known what is needed."""
    if needed is None:
        yield
        return
    bench.memory.give_back()
    _, total = torch.cuda.mem_get_info(bench.device)
    allowed = torch.cuda.memory_reserved(bench.device) + share * needed
    torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / total), bench.device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, bench.device)
        bench.memory.give_back()


@contextmanager
def _pretending(model: torch.nn.Module, count: int, room: int | None) -> Generator[None]:
    if room is None or count <= room:
        yield
        return
    error = torch.OutOfMemoryError("out of memory, as the benchmark pretends")
    with mock.patch.object(model, "forward", side_effect=error):
        yield
