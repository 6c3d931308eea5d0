"""The thread that owns the model, with arithmetic in the model's place."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, wait
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tests.patience import HANG_S

from vdr_integrations.encoders.worker import ModelWorker
from vdr_integrations.errors import DeviceMemoryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Recorder:
    """Doubles numbers; remembers batches; can be held; can run out of memory."""

    def __init__(self, *, fits: int = 1_000, error: type[Exception] | None = None) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.go_on = threading.Event()
        self.go_on.set()
        self.entered = threading.Event()
        self.fits = fits
        self.error = error

    def __call__(self, items: Sequence[int]) -> list[NDArray[np.float32]]:
        self.threads.add(threading.get_ident())
        self.entered.set()
        assert self.go_on.wait(HANG_S)
        if len(items) > self.fits:
            raise self.error("CUDA out of memory") if self.error else torch.OutOfMemoryError
        if -1 in items:
            raise KeyError("broken item")
        self.batches.append(list(items))
        return [np.array([2 * item], np.float32) for item in items]


def worker(run: Recorder, *, budget: int = 100) -> ModelWorker[int]:
    return ModelWorker(
        run, group=lambda n: n % 2, cost=lambda _: 10, budget=lambda _: budget, name="doubler"
    )


def test_rows_come_back_in_the_order_of_the_items() -> None:
    rows = np.stack(worker(Recorder(), budget=30).submit(list(range(50))).result(HANG_S))
    assert rows[:, 0].tolist() == [2 * n for n in range(50)]


def test_like_items_share_batches_within_the_budget() -> None:
    run = Recorder()
    worker(run, budget=30).submit(list(range(10))).result(HANG_S)
    assert run.batches == [[0, 2, 4], [1, 3, 5], [6, 8], [7, 9]]


def test_an_item_above_the_budget_runs_alone() -> None:
    run = Recorder()
    worker(run, budget=1).submit([2, 4]).result(HANG_S)
    assert run.batches == [[2], [4]]


def test_waiting_requests_of_several_callers_are_gathered() -> None:
    run = Recorder()
    run.go_on.clear()
    doubler = worker(run)
    futures = [doubler.submit([1])]
    assert run.entered.wait(HANG_S)
    futures += [doubler.submit([2 * n]) for n in range(8)]
    run.go_on.set()
    assert [f.result(HANG_S)[0][0] for f in futures] == [2, *(4 * n for n in range(8))]
    assert run.batches == [[1], [2 * n for n in range(8)]]


@pytest.mark.parametrize("error", [None, RuntimeError, MemoryError])
def test_running_out_of_memory_halves_the_batch_and_goes_on(error: type[Exception] | None) -> None:
    run = Recorder(fits=2, error=error)
    doubler = worker(run)
    assert np.stack(doubler.submit(list(range(0, 20, 2))).result(HANG_S))[:, 0].tolist() == list(
        range(0, 40, 4)
    )
    assert max(map(len, run.batches)) == 2


def test_the_halved_batch_is_remembered() -> None:
    run = Recorder(fits=2)
    doubler = worker(run)
    doubler.submit([0, 2, 4, 6]).result(HANG_S)
    run.fits = 1_000
    run.batches.clear()
    doubler.submit([0, 2, 4, 6]).result(HANG_S)
    assert run.batches == [[0, 2], [4, 6]]


def test_one_item_that_does_not_fit_is_an_error_with_advice() -> None:
    with pytest.raises(DeviceMemoryError, match="Lower max_visual_tokens"):
        worker(Recorder(fits=0)).submit([2]).result(HANG_S)


def test_an_error_reaches_its_caller_and_the_next_request_runs() -> None:
    doubler = worker(Recorder())
    with pytest.raises(KeyError):
        doubler.submit([-1]).result(HANG_S)
    assert doubler.submit([3]).result(HANG_S)[0][0] == 6


@pytest.mark.parametrize("items", [[2], [2, 3]], ids=["one item", "two items"])
def test_a_request_cancelled_before_its_turn_is_never_run_and_its_neighbours_are(
    items: list[int],
) -> None:
    run = Recorder()
    run.go_on.clear()
    doubler = worker(run)
    first = doubler.submit([1])
    assert run.entered.wait(HANG_S)
    cancelled, kept = doubler.submit(items), doubler.submit([4])
    assert cancelled.cancel()
    run.go_on.set()
    assert kept.result(HANG_S)[0][0] == 8
    first.result(HANG_S)
    with pytest.raises(CancelledError):
        cancelled.result()
    assert run.batches == [[1], [4]]


@pytest.mark.parametrize("held", [True, False], ids=["while all ask", "as they ask"])
def test_one_thread_at_a_time_runs_the_model_for_all_callers(*, held: bool) -> None:
    running, go_on = threading.Lock(), threading.Event()

    def alone(items: Sequence[int]) -> list[NDArray[np.float32]]:
        assert running.acquire(blocking=False), "two threads in the model"
        try:
            assert go_on.wait(HANG_S)
            return [np.array([item], np.float32) for item in items]
        finally:
            running.release()

    doubler = ModelWorker(
        alone, group=lambda n: n % 3, cost=lambda _: 1, budget=lambda _: 4, name="one"
    )
    futures = []
    lock = threading.Lock()

    def call(start: int) -> None:
        for n in range(start, start + 50):
            future = doubler.submit([n])
            with lock:
                futures.append((n, future))

    callers = [threading.Thread(target=call, args=(100 * n,)) for n in range(8)]
    if not held:
        go_on.set()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(HANG_S)
    go_on.set()
    wait([future for _, future in futures], timeout=HANG_S)
    assert all(future.result(HANG_S)[0][0] == n for n, future in futures)
    assert len(futures) == 400
