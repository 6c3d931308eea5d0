"""What the device can do at most, measured here: a large product, a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.gpu.bench import Bench
    from benchmarks.gpu.clock import Clock
    from benchmarks.gpu.report import Table

__all__ = ["run"]

_CALLS = 10  # between two waits for the device


def run(bench: Bench, table: Table, clock: Clock) -> None:
    """Fill the limits that other sections compare with."""
    side, copied = bench.sizes.product, bench.sizes.copied
    bench.limits.flops = 2 * side**3 / _product_s(bench, clock.part(2))
    table.row(
        what=f"product of {side} x {side}, {str(bench.models.dtype).removeprefix('torch.')}",
        per_s=f"{bench.limits.flops / 1e12:.4g} TFLOP",
    )
    bench.limits.bytes = 2 * copied / _copy_s(bench, clock)
    table.row(
        what=f"copy of {copied / 1e9:.3g} GB, read and written",
        per_s=f"{bench.limits.bytes / 1e9:.4g} GB",
    )
    table.note("Shares of the limit below are of these two.")


def _product_s(bench: Bench, clock: Clock) -> float:
    shape = 2 * (bench.sizes.product,)
    # Random numbers: products of zeros take less power and run faster.
    one, other = (
        torch.randn(shape, device=bench.device, dtype=bench.models.dtype) for _ in range(2)
    )
    out = torch.empty_like(one)
    return _median(lambda: torch.mm(one, other, out=out), clock, bench)


def _copy_s(bench: Bench, clock: Clock) -> float:
    source = torch.ones(bench.sizes.copied, dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)
    return _median(lambda: target.copy_(source), clock, bench)


def _median(work: Callable[[], object], clock: Clock, bench: Bench) -> float:
    """Seconds of a call, the median of rounds that wait for the device once."""

    def several() -> None:
        for _ in range(_CALLS):
            work()
        _wait(bench.device)

    several()
    took = sorted(clock.seconds(several, at_most=bench.sizes.rounds))
    return took[len(took) // 2] / _CALLS


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
