"""Encoders in forked processes: they go on, or say at once that they cannot; they never hang.

Each test runs in a process of its own, since whoever forks must not have other threads.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.patience import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.prepared.python import PreparedPython

REPORT = Path(__file__).resolve().parents[3] / "demo" / "documents" / "utility-report.de.pdf"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

BEGINNING = """
import asyncio, os, sys, threading
import numpy as np
from PIL import Image
from vdr_integrations import load_encoder
from vdr_integrations.errors import ForkedProcessError

model, late = sys.argv[1:]
encoder = load_encoder(model, device="cpu")
page = Image.effect_noise((112, 140), 90).convert("RGB")
expected = encoder.encode_pages([page])
question = encoder.encode_queries(["a"])

def same(found):
    assert np.abs(found - expected).max() < 1e-5

def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

def serve():
    same(encoder.encode_pages([page]))
    same(asyncio.run(encoder.aencode_pages([page])))
    assert np.abs(encoder.encode_queries(["a"]) - question).max() < 1e-5
"""


STREAMS: dict[str, Any] = {
    "stdout": subprocess.PIPE,
    "stderr": subprocess.STDOUT,
    "text": True,
    "start_new_session": True,
}


@pytest.fixture
def run(prepared_python: PreparedPython, tiny_checkpoint: Path) -> Callable[..., None]:
    """Runs a script in a process of its own; ``first`` is what a process begins with that is not
    prepared.
    """

    def begin(script: str, late: Path | str = "", first: str | None = None) -> None:
        program = f"{first or ''}\n{BEGINNING}{textwrap.dedent(script)}"
        arguments = ["-c", program, str(tiny_checkpoint), str(late)]
        with (
            prepared_python.start(*arguments, **STREAMS)
            if first is None
            else subprocess.Popen([sys.executable, *arguments], **STREAMS)
        ) as process:
            try:
                said, _ = process.communicate(timeout=2 * HANG_S)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # its children too
        assert process.returncode == 0, said

    return begin


def test_a_child_uses_its_parents_model_sync_and_async_and_so_does_its_own_child(
    run: Callable[..., None],
) -> None:
    run(
        """
        asyncio.run(encoder.aencode_pages([page]))
        model = encoder.core

        def twice():
            serve()
            assert load_encoder(sys.argv[1], device="cpu").core is model
            in_child(serve)

        in_child(twice)
        serve()
        """,
    )


def test_forks_in_the_moment_when_a_thread_has_done_its_work_do_not_hang(
    run: Callable[..., None],
) -> None:
    """One in 40 of them did, in MKL's allocator, while threads ended with their work."""
    run(
        """
        for _ in range(100):
            encoder.encode_queries(["a"])
            encoder.encode_pages([page])
            in_child(lambda: same(encoder.encode_pages([page])))
        """,
    )


def test_a_child_that_is_forked_while_its_parent_encodes_gets_the_same_vectors(
    run: Callable[..., None],
) -> None:
    run(
        """
        over, begun = threading.Event(), threading.Event()

        def busy():
            while not over.is_set():
                encoder.encode_pages([page] * 8)
                begun.set()

        def busy_async():
            while not over.is_set():
                asyncio.run(encoder.aencode_pages([page] * 8))

        threads = [threading.Thread(target=work) for work in (busy, busy, busy_async)]
        for thread in threads:
            thread.start()
        begun.wait()
        for _ in range(8):
            in_child(serve)
        over.set()
        for thread in threads:
            thread.join()
        serve()
        """,
    )


def test_a_child_loads_another_model_while_its_parent_loads_and_encodes(
    run: Callable[..., None], tmp_path: Path
) -> None:
    from tests.tiny_colqwen2 import write_base

    write_base(tmp_path / "colqwen2-base")
    run(
        """
        over, begun = threading.Event(), threading.Event()

        def busy():
            while not over.is_set():
                load_encoder(model, device="cpu", dtype="bfloat16").encode_pages([page])
                begun.set()

        def load():
            (tokens,) = load_encoder(late, device="cpu").encode_pages([page])
            assert tokens.shape[1] == 128
            serve()

        thread = threading.Thread(target=busy)
        thread.start()
        begun.wait()
        for _ in range(3):
            in_child(load)
        over.set()
        thread.join()
        """,
        tmp_path / "colqwen2-base",
    )


def test_workers_of_multiprocessing_share_a_model_that_was_loaded_before(
    run: Callable[..., None],
) -> None:
    run(
        """
        import multiprocessing

        def encode(n):
            return encoder.encode_pages([page] * n)

        with multiprocessing.get_context("fork").Pool(2) as pool:
            for found in pool.map(encode, [1, 2, 3, 1]):
                same(found)
        """,
    )


def test_scores_of_late_interaction_are_computed_in_a_child(run: Callable[..., None]) -> None:
    run(
        """
        from vdr_integrations.index.scoring.maxsim import maxsim_scores

        rows = np.random.default_rng(0).normal(size=(900, 128)).astype(np.float32)
        scores = maxsim_scores(rows[:20], [rows, rows[:700]])

        def score():
            assert (maxsim_scores(rows[:20], [rows, rows[:700]]) == scores).all()

        in_child(score)
        """,
    )


def test_a_fork_that_cannot_wait_any_longer_is_refused_in_the_child_by_name(
    run: Callable[..., None],
) -> None:
    run(
        """
        from vdr_integrations.encoders.runtime import forks

        forks.WAIT_S = 0.01
        pages = encoder.model_here.backbone.pages
        held, goes_on = threading.Event(), threading.Event()

        def hold(some):
            held.set()
            goes_on.wait()
            return pages(some)

        encoder.model_here.backbone.pages = hold
        thread = threading.Thread(target=lambda: same(encoder.encode_pages([page])))
        thread.start()
        held.wait()

        def refused():
            for work in (
                lambda: encoder.encode_pages([page]),
                lambda: asyncio.run(encoder.aencode_queries(["a"])),
                lambda: load_encoder(model, device="cpu"),
            ):
                try:
                    work()
                except ForkedProcessError as error:
                    assert "get_context('spawn')" in str(error)
                else:
                    raise AssertionError("not refused")

        in_child(refused)
        goes_on.set()
        thread.join()
        encoder.model_here.backbone.pages = pages
        serve()
        """,
    )


def test_a_model_on_a_gpu_is_refused_in_a_child_by_name(run: Callable[..., None]) -> None:
    run(
        """
        from vdr_integrations.encoders.runtime.model_worker import ModelWorker

        core = encoder.model_here
        core.worker = ModelWorker(  # as if it were there; tests have no GPU
            core.backbone.pages,
            group=lambda page: page.patch_count,
            cost=core.cost,
            budget=lambda group: 0,
            name=encoder.name,
            device="cuda:0",
        )
        same(encoder.encode_pages([page]))

        def refused():
            for work in (
                lambda: encoder.encode_pages([page]),
                lambda: encoder.encode_queries(["a"]),
                lambda: asyncio.run(encoder.aencode_pages([page])),
            ):
                try:
                    work()
                except ForkedProcessError as error:
                    assert "cuda:0" in str(error)
                    assert "--preload" in str(error)
                else:
                    raise AssertionError("not refused")

        in_child(refused)
        """,
    )


def test_cuda_is_refused_in_a_child_of_a_process_that_used_it(run: Callable[..., None]) -> None:
    run(
        """
        import torch

        torch.cuda._is_in_bad_fork = lambda: True  # what torch says there
        torch.cuda.is_available, torch.cuda.device_count = lambda: True, lambda: 1

        def refused():
            for device in (None, "cuda", "cuda:0"):
                try:
                    load_encoder(model, device=device)
                except ForkedProcessError as error:
                    assert "device='cpu'" in str(error)
                else:
                    raise AssertionError("not refused")
            load_encoder(model, device="cpu").encode_queries(["a"])

        in_child(refused)
        """,
    )


def test_a_fork_in_the_middle_of_a_load_waits_for_its_end(run: Callable[..., None]) -> None:
    """Hooks of thread pools and file locks are called after ours, or the load could not end."""
    run(
        """
        from vdr_integrations.encoders.runtime import forks
        from vdr_integrations.encoders.runtime import shared_model

        load, held = shared_model.load_weights, threading.Event()

        def slow(*arguments, **options):
            held.set()
            while not forks.is_forking():
                threading.Event().wait(0.01)
            return load(*arguments, **options)

        shared_model.load_weights = slow
        other = lambda: load_encoder(model, device="cpu", dtype="bfloat16").encode_pages([page])
        thread = threading.Thread(target=other)
        thread.start()
        held.wait()
        in_child(serve)
        thread.join()
        """,
        first="import vdr_integrations.encoders.runtime.forks",
    )


def test_locks_that_other_threads_hold_at_the_fork_hold_up_no_child(
    run: Callable[..., None],
) -> None:
    run(
        """
        from tqdm import tqdm

        over, begun = threading.Event(), threading.Event()

        def show_bars():
            while not over.is_set():
                with tqdm.get_lock():
                    begun.set()
                    over.wait(0.001)

        thread = threading.Thread(target=show_bars)
        thread.start()
        begun.wait()
        for _ in range(20):
            in_child(serve)
        over.set()
        thread.join()
        """,
    )


def test_pages_are_drawn_in_a_child_of_a_process_that_draws_pages(run: Callable[..., None]) -> None:
    run(
        """
        from vdr_integrations import open_pdf

        over, begun = threading.Event(), threading.Event()

        def draw():
            with open_pdf(late) as pages:
                return [pages[n].render(encoder.pixel_budget) for n in range(2)]

        def draw_on():
            while not over.is_set():
                draw()
                begun.set()

        threads = [threading.Thread(target=draw_on) for _ in range(2)]
        for thread in threads:
            thread.start()
        begun.wait()
        for _ in range(3):  # each starts a process that draws
            in_child(draw)
        over.set()
        for thread in threads:
            thread.join()
        """,
        REPORT,
    )


def test_a_child_that_goes_on_with_its_parents_call_is_refused(run: Callable[..., None]) -> None:
    run(
        """
        parent = os.getpid()
        child = 0

        def pages():
            global child
            for n in range(40):
                if n == 20:
                    child = os.fork()
                yield page

        try:
            found = encoder.encode_pages(pages())
        except ForkedProcessError as error:
            os._exit(0 if os.getpid() != parent and "Encode again" in str(error) else 1)
        # The child may also have had all that the parent was asked for, if that was done by then.
        assert len(found) == 40
        if os.getpid() != parent:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
    )
