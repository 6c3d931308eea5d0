"""The thread that owns the model, with arithmetic in the model's place."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import CancelledError, Future, wait
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pytest
import torch
from tests.patience import HANG_S

from vdr_integrations.encoders.runtime.device_memory import release_cached_memory
from vdr_integrations.encoders.runtime.model_worker import ModelWorker
from vdr_integrations.encoders.runtime.torch_threads import start_with_torch
from vdr_integrations.errors import DeviceMemoryError, EncodingError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Recorder:
    """Doubles numbers; remembers batches; can be held; can run out of memory."""

    def __init__(
        self,
        *,
        fits: int = 1_000,
        error: type[BaseException] | None = None,
        said: str = "CUDA out of memory",
    ) -> None:
        self.batches: list[list[int]] = []
        self.attempts = 0
        self.threads: set[int] = set()
        self.go_on = threading.Event()
        self.go_on.set()
        self.entered = threading.Event()
        self.fits = fits
        self.error = error
        self.said = said

    def __call__(self, items: Sequence[int]) -> list[NDArray[np.float32]]:
        self.attempts += 1
        self.threads.add(threading.get_ident())
        self.entered.set()
        assert self.go_on.wait(HANG_S)
        if len(items) > self.fits:
            raise self.error(self.said) if self.error else torch.OutOfMemoryError
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


def test_kinds_of_items_take_turns() -> None:
    run = Recorder()
    run.go_on.clear()
    doubler: ModelWorker[int] = ModelWorker(
        run,
        group=lambda n: n,
        cost=lambda _: 1,
        budget=lambda _: 1,
        name="doubler",
        kind=lambda n: n < 100,
    )
    futures = [doubler.submit(list(range(5)))]
    assert run.entered.wait(HANG_S)
    futures += [doubler.submit([n]) for n in (100, 5, 101)]
    run.go_on.set()
    for future in futures:
        future.result(HANG_S)
    assert run.batches == [[0], [100], [1], [101], [2], [3], [4], [5]]


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


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "Invalid buffer size: 24.00 GiB",
        "MPS backend out of memory (MPS allocated: 17.98 GB)",
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 68719476736 bytes.",
    ],
)
def test_a_library_that_cannot_allocate_has_run_out_of_memory(said: str) -> None:
    run = Recorder(fits=2, error=RuntimeError, said=said)
    rows = worker(run).submit([0, 2, 4, 6]).result(HANG_S)
    assert [row[0] for row in rows] == [0, 4, 8, 12]
    run.fits = 0
    with pytest.raises(DeviceMemoryError) as refused:
        worker(run).submit([2]).result(HANG_S)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
        "mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)",
    ],
)
def test_what_is_no_want_of_memory_is_not_tried_again(said: str) -> None:
    run = Recorder(fits=2, error=RuntimeError, said=said)
    with pytest.raises(RuntimeError) as raised:
        worker(run).submit([0, 2, 4, 6]).result(HANG_S)
    assert str(raised.value) == said
    assert run.batches == []


def test_memory_is_given_back_once_for_every_failure() -> None:
    released: list[bool] = []
    doubler = ModelWorker(
        Recorder(fits=1),
        group=lambda n: n % 2,
        cost=lambda _: 10,
        budget=lambda _: 100,
        name="doubler",
        release_memory=lambda: released.append(True),
    )
    doubler.submit([0, 2, 4, 6]).result(HANG_S)
    assert len(released) == 3  # of 4, and of 2 twice


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_the_cache_of_the_device_in_use_is_emptied(kind: str) -> None:
    with ExitStack() as patches:
        emptied = {
            one: patches.enter_context(mock.patch.object(getattr(torch, one), "empty_cache"))
            for one in ("cuda", "mps", "xpu")
        }
        release_cached_memory(torch.device(kind))
        release_cached_memory(torch.device("cpu"))
    assert [one for one, emptying in emptied.items() if emptying.call_count] == [kind]
    emptied[kind].assert_called_once_with()


def test_batches_grow_again_when_the_shortage_is_over() -> None:
    run = Recorder(fits=2)
    doubler = worker(run)
    many = list(range(0, 200, 2))
    doubler.submit(many).result(HANG_S)
    assert max(map(len, run.batches)) == 2
    run.fits = 1_000
    run.batches.clear()
    for _ in range(10):
        doubler.submit(many).result(HANG_S)
    assert max(map(len, run.batches)) == 10  # the budget


def test_a_device_that_is_too_small_for_good_is_overtaxed_ever_less_often() -> None:
    run = Recorder(fits=2)
    doubler = worker(run)
    failures: list[int] = []
    for _ in range(8):  # each of a hundred full batches
        before, done = run.attempts, len(run.batches)
        doubler.submit(list(range(0, 400, 2))).result(HANG_S)
        failures.append(run.attempts - before - (len(run.batches) - done))
    assert sum(failures[4:]) < sum(failures[:4])
    assert sum(failures[4:]) <= 2


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_whatever_ends_a_batch_reaches_its_caller_and_the_next_request_runs(
    error: type[BaseException],
) -> None:
    run = Recorder(fits=0, error=error, said="over")
    doubler = worker(run)
    with pytest.raises(EncodingError, match=f"doubler stopped with {error.__name__}") as raised:
        doubler.submit([2, 4]).result(HANG_S)
    assert isinstance(raised.value.__cause__, error)
    run.fits = 1_000
    assert doubler.submit([3]).result(HANG_S)[0][0] == 6


def test_an_item_that_cannot_be_measured_is_its_callers_error_alone() -> None:
    run = Recorder()
    doubler = worker(run)
    with pytest.raises(TypeError):
        doubler.submit([2, "x"])  # pyright: ignore[reportArgumentType]
    assert doubler.submit([4]).result(HANG_S)[0][0] == 8
    assert run.batches == [[4]]


def test_a_machine_that_starts_no_more_threads_is_an_error_and_nobody_waits() -> None:
    run = Recorder()
    run.go_on.clear()
    asked: list[ModelWorker[int]] = []

    def ask_until_no_thread_is_free() -> None:
        while True:
            asked.append(worker(run))
            asked[-1].submit([2])

    full = RuntimeError("can't start new thread")
    with (
        mock.patch.object(threading.Thread, "start", side_effect=full),
        pytest.raises(ResourceError, match="starts no more threads"),
    ):
        ask_until_no_thread_is_free()
    run.go_on.set()
    assert asked[-1].submit([4]).result(HANG_S)[0][0] == 8
    assert [4] in run.batches  # without the item that was refused


def test_requests_share_a_batch_within_the_smallest_of_their_budgets() -> None:
    run = Recorder()
    run.go_on.clear()
    doubler = worker(run)
    futures = [doubler.submit([1])]
    assert run.entered.wait(HANG_S)
    futures += [doubler.submit([2, 4, 6], budget=40), doubler.submit([8, 10], budget=1_000)]
    futures += [doubler.submit([12, 14, 16], budget=20)]
    run.go_on.set()
    for future in futures:
        future.result(HANG_S)
    assert run.batches == [[1], [2, 4, 6, 8], [10, 12], [14, 16]]


def test_a_request_that_waits_can_be_cancelled_until_its_own_batch_begins() -> None:
    begun: SimpleQueue[Sequence[int]] = SimpleQueue()
    go_on = threading.Semaphore(0)

    def run(items: Sequence[int]) -> list[NDArray[np.float32]]:
        begun.put(items)
        assert go_on.acquire(timeout=HANG_S)
        return [np.array([2 * item], np.float32) for item in items]

    doubler = ModelWorker(
        run, group=lambda n: n, cost=lambda _: 10, budget=lambda _: 100, name="doubler"
    )
    futures = [doubler.submit([n]) for n in (1, 2, 3, 4)]
    for n in (1, 2):
        assert begun.get(timeout=HANG_S) == [n]
        if n == 1:
            go_on.release()
    assert futures[2].cancel()  # the thread has looked at it twice, and not begun it
    go_on.release(2)
    assert [future.result(HANG_S)[0][0] for future in (futures[1], futures[3])] == [4, 8]
    assert begun.get(timeout=HANG_S) == [4]


def test_on_a_gpu_one_thread_serves_all_calls_and_ends_with_its_worker() -> None:
    run = Recorder()
    doubler = ModelWorker(
        run,
        group=lambda n: n % 2,
        cost=lambda _: 10,
        budget=lambda _: 100,
        name="doubler",
        device="cuda:0",
    )
    for _ in range(5):
        doubler.submit([2]).result(HANG_S)
        assert thread_of_other_work() not in run.threads
    assert len(run.threads) == 1
    (serving,) = run.threads
    del doubler
    for _ in range(10 * HANG_S):
        gc.collect()
        if thread_of_other_work() == serving:
            return
        threading.Event().wait(0.1)
    pytest.fail(f"thread {serving} still waits for a worker that is gone")


def thread_of_other_work() -> int:
    """Whichever thread is free, or a new one."""
    found: Future[int] = Future()
    start_with_torch(lambda: found.set_result(threading.get_ident()))
    return found.result(HANG_S)


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
