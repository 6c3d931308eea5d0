"""Processes with limits: what they may do, how they end, and who gets them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from PIL import Image
from tests.hostile.hostile_pdf_memory import content_that_inflates_to_gigabytes
from tests.machine import end_processes_at_once
from tests.patience import HANG_S
from tests.pdfs import hang_on_page, write_pdf

from vdr_integrations import open_image, open_pdf
from vdr_integrations.errors import (
    DocumentOpenError,
    ImageDecodeError,
    OptionError,
    PageRenderError,
    ResourceError,
)
from vdr_integrations.pages import ProcessLimits
from vdr_integrations.pages.process_limits import process_limits
from vdr_integrations.pages.processes.child_process import ChildProcess, ProcessEndedError
from vdr_integrations.pages.processes.process_pool import (
    Lane,
    ProcessPool,
    close_pools,
    shared_pool,
)
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator

BUDGET = PixelBudget(max_visual_tokens=64)
LIMITS = ProcessLimits()
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc of Linux")


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    made = ProcessPool(LIMITS)
    yield made
    made.close()


def failed(end: ProcessEndedError) -> Exception:
    return PageRenderError(f"{end.by}, {end.detail}", source="x.pdf", page_number=1)


def pid_of(child: ChildProcess) -> int:
    return child.process_id


def ends_it(child: ChildProcess) -> None:
    os.kill(child.process_id, getattr(signal, "SIGKILL", signal.SIGTERM))
    child.ask({"do": "close_file", "key": 0}, source="x.pdf")


def in_pool(pool: ProcessPool) -> int:
    """Number of the process that does the next work."""
    return pool.submit(pid_of, failure=failed, lane=Lane(1)).result(HANG_S)


def opening(path: Path) -> dict[str, object]:
    """A request for a PDF."""
    nothing: dict[str, object] = {"password": None, "limits": {}}
    return {"do": "open_pdf", "key": 1, "path": str(path), "source": path.name, **nothing}


TEXT_OF_PAGE_1 = {"do": "page", "key": 1, "page_number": 1, "wanted": ["text"]}


def test_work_is_done_by_one_process_as_long_as_it_is_enough(pool: ProcessPool) -> None:
    first = in_pool(pool)
    assert first != os.getpid()
    assert [in_pool(pool) for _ in range(5)] == [first] * 5


def test_a_lane_gets_as_many_processes_as_it_may_have_and_no_more(pool: ProcessPool) -> None:
    together = threading.Barrier(2)

    def meet(child: ChildProcess) -> int:
        together.wait(HANG_S)
        return child.process_id

    lane = Lane(2)
    waiting = [pool.submit(meet, failure=failed, lane=lane) for _ in range(6)]
    assert len({one.result(HANG_S) for one in waiting}) == 2


def test_a_process_that_ends_is_the_error_of_its_work_and_the_next_work_gets_another(
    pool: ProcessPool,
) -> None:
    before = in_pool(pool)
    tried: list[int] = []

    def end(child: ChildProcess) -> None:
        tried.append(child.process_id)
        ends_it(child)

    with pytest.raises(PageRenderError, match="crash, signal 9"):
        pool.submit(end, failure=failed, lane=Lane(1)).result(HANG_S)
    # What the first process had done before could have been the cause; the second was new.
    assert len(set(tried)) == 2
    assert tried[0] == before
    assert in_pool(pool) not in tried


def test_work_that_fails_in_an_old_process_and_not_in_a_new_one_is_done(pool: ProcessPool) -> None:
    before = in_pool(pool)

    def end_the_old_one(child: ChildProcess) -> int:
        if child.process_id == before:
            ends_it(child)
        return child.process_id

    after = pool.submit(end_the_old_one, failure=failed, lane=Lane(1)).result(HANG_S)
    assert after != before


def test_an_error_of_the_work_itself_leaves_its_process_as_it_is(pool: ProcessPool) -> None:
    before = in_pool(pool)

    def fail(_: ChildProcess) -> None:
        raise OptionError("no")

    with pytest.raises(OptionError):
        pool.submit(fail, failure=failed, lane=Lane(1)).result(HANG_S)
    assert in_pool(pool) == before


def test_closing_ends_the_processes_and_what_they_do(tmp_path: Path) -> None:
    limits = ProcessLimits(page_timeout_s=1001)
    path = hang_on_page(write_pdf(tmp_path / "a.pdf", ["one"]), 1)
    with open_pdf(path, process_limits=limits) as document:
        endless = document[0].begin(BUDGET)
        process_id = in_pool_of(limits)
        close_pools()
        with pytest.raises(CancelledError):
            endless()
    assert not psutil.pid_exists(process_id)


def in_pool_of(limits: ProcessLimits) -> int:
    """Number of a process of a pool that is busy with other work, too."""
    return shared_pool(limits).submit(pid_of, failure=failed, lane=Lane(1)).result(HANG_S)


@linux_only
def test_a_process_may_do_little(tmp_path: Path) -> None:
    limits = ProcessLimits(memory_mb=700)
    with open_pdf(write_pdf(tmp_path / "a.pdf", ["one"]), process_limits=limits) as document:
        assert document[0].text.strip() == "one"
        process = Path("/proc", str(in_pool_of(limits)))
        found = {
            line[:26].strip(): line[26:].split()[:2]
            for line in (process / "limits").read_text().splitlines()
        }
        status = dict(
            line.split(":\t", 1) for line in (process / "status").read_text().splitlines()
        )
    assert found["Max address space"] == [str(700 * 1024**2)] * 2
    assert found["Max core file size"] == found["Max file size"] == ["0", "0"]
    assert found["Max open files"] == ["64", "64"]
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@linux_only
def test_a_process_has_no_network_and_starts_no_program() -> None:
    script = (
        "import os, socket, sys\n"
        f"sys.path[:] = {sys.path!r}\n"
        "from vdr_integrations.pages.processes.system_calls import forbid_network_and_programs\n"
        "assert forbid_network_and_programs()\n"
        "for call in (socket.socket, os.fork, lambda: os.execv('/bin/true', ['true'])):\n"
        "    try:\n"
        "        call()\n"
        "    except PermissionError:\n"
        "        print('no', end=' ')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr, done.returncode) == (["no"] * 3, "", 0)


@linux_only
def test_a_process_gets_no_keys_and_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    child = ChildProcess(LIMITS, is_watched=False)
    try:
        variables = Path("/proc", str(child.process_id), "environ").read_bytes()
    finally:
        child.end()
    assert b"PATH=" in variables
    assert b"secret" not in variables


@pytest.mark.parametrize("is_watched", [False, True])
def test_too_much_memory_is_called_memory(tmp_path: Path, *, is_watched: bool) -> None:
    if not is_watched and sys.platform != "linux":
        pytest.skip("limits of Linux")
    path = tmp_path / "big.pdf"
    path.write_bytes(content_that_inflates_to_gigabytes())
    limits = ProcessLimits(memory_mb=256)
    pool = ProcessPool(limits, is_watched=is_watched)

    def read(child: ChildProcess) -> None:
        child.ask(opening(path), source=path.name)
        child.make_room(height=90, width=90)
        child.begin_page()
        size = child.ask(TEXT_OF_PAGE_1 | {"wanted": ["size"]}, source=path.name)["size"]
        image = {"wanted": ["image"], "height": 90, "width": 90, "if_size": size}
        child.ask(TEXT_OF_PAGE_1 | image, source=path.name)

    try:
        with pytest.raises(PageRenderError, match="memory"):
            pool.submit(read, failure=failed, lane=Lane(1)).result(HANG_S)
    finally:
        pool.close()


@pytest.mark.parametrize("is_watched", [False, True])
def test_too_much_cpu_time_is_called_cpu_time(tmp_path: Path, *, is_watched: bool) -> None:
    path = hang_on_page(write_pdf(tmp_path / "a.pdf", ["one"]), 1)
    pool = ProcessPool(ProcessLimits(page_timeout_s=0.3), is_watched=is_watched)

    def read(child: ChildProcess) -> None:
        child.ask(opening(path), source=path.name)
        child.begin_page()
        child.ask(TEXT_OF_PAGE_1, source=path.name)

    try:
        with pytest.raises(PageRenderError, match="CPU time"):
            pool.submit(read, failure=failed, lane=Lane(1)).result(HANG_S)
    finally:
        pool.close()


class HastyLimits(ProcessLimits):
    """Limits that do not wait long."""

    @property
    def wall_s(self) -> float:
        """Seconds."""
        return 1.0


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_process_that_neither_works_nor_answers_is_ended() -> None:
    pool = ProcessPool(HastyLimits())

    def stop(child: ChildProcess) -> None:
        os.kill(child.process_id, signal.SIGSTOP)
        child.ask({"do": "close_file", "key": 0}, source="x.pdf")

    try:
        with pytest.raises(PageRenderError, match="wall time"):
            pool.submit(stop, failure=failed, lane=Lane(1)).result(HANG_S)
    finally:
        pool.close()


def test_a_large_page_names_the_limit_and_the_option() -> None:
    limits = ProcessLimits(memory_mb=256)
    big = content_that_inflates_to_gigabytes()
    with open_pdf(big, name="big.pdf", process_limits=limits) as document:
        with pytest.raises(PageRenderError, match=r"big\.pdf page 1: .* 256 MiB.*page_memory_mb"):
            document[0].render(BUDGET)
        assert document[0].width_pt > 0  # another process has taken its place


def test_a_large_image_names_the_limit_and_the_option(tmp_path: Path) -> None:
    Image.new("RGB", (9000, 9000)).save(tmp_path / "a.png")
    with pytest.raises(ImageDecodeError, match=r"a\.png: .* 256 MiB.*page_memory_mb"):
        open_image(tmp_path / "a.png", process_limits=ProcessLimits(memory_mb=256))


def test_processes_that_end_before_they_open_a_file_are_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["one"])
    end_processes_at_once(monkeypatch)
    with pytest.raises(ResourceError, match=r"before it opened anything.*process_limits=None"):
        open_pdf(path)
    assert len(open_pdf(path, process_limits=None)) == 1


def test_a_file_that_changed_after_it_was_opened_is_refused(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["one"])
    with open_pdf(path) as document:
        write_pdf(path, ["another"])
        assert document[0].text.strip() == "one"  # the process holds what it read
        close_pools()
        with pytest.raises(DocumentOpenError, match="changed while it was read"):
            _ = document[0].text


def test_a_document_that_is_closed_is_let_go_of(tmp_path: Path) -> None:
    def open_keys(child: ChildProcess) -> int:
        return len(child.open_keys)

    limits = ProcessLimits(memory_mb=1111)
    pool = shared_pool(limits)
    with open_pdf(write_pdf(tmp_path / "a.pdf", ["one"]), process_limits=limits):
        assert pool.submit(open_keys, failure=failed, lane=Lane(1)).result(HANG_S) == 1
    pool.submit(open_keys, failure=failed, lane=Lane(1)).result(HANG_S)
    # Between two works a process closes what was closed here.
    assert pool.submit(open_keys, failure=failed, lane=Lane(1)).result(HANG_S) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_process_starts_processes_of_its_own(tmp_path: Path) -> None:
    with open_pdf(write_pdf(tmp_path / "a.pdf", ["one"])) as document:
        assert document[0].text.strip() == "one"
        mine = in_pool_of(LIMITS)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                text = document[0].text.strip()
                os.write(writing, f"{text} {in_pool_of(LIMITS) != mine}".encode())
                close_pools()
            finally:
                os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
        assert os.read(reading, 99) == b"one True"
        os.close(reading)
        assert in_pool_of(LIMITS) == mine
        assert document[0].text.strip() == "one"


def test_other_threads_run_while_a_page_is_drawn(tmp_path: Path) -> None:
    path = hang_on_page(write_pdf(tmp_path / "a.pdf", ["one", "two"]), 1)
    limits = ProcessLimits(page_timeout_s=1002)
    with open_pdf(path, process_limits=limits) as document:
        endless = document[0].begin(BUDGET)
        turned = threading.Event()
        threading.Thread(target=turned.set).start()
        assert turned.wait(HANG_S)
        assert document[1].text.strip() == "two"  # by another process
        close_pools()
        with pytest.raises(CancelledError):
            endless()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"page_timeout_s": 0}, "page_timeout_s=0 .*at most 86,400"),
        ({"page_timeout_s": float("nan")}, "page_timeout_s=nan"),
        ({"page_timeout_s": 86_401}, "page_timeout_s=86401"),
        ({"page_memory_mb": 255}, "page_memory_mb=255 .*at least 256"),
        ({"render_workers": -1}, "render_workers=-1"),
        ({"render_workers": 0, "page_timeout_s": 5}, "page_timeout_s=5 with render_workers=0"),
        ({"render_workers": 0, "page_memory_mb": 512}, "page_memory_mb=512 with render_workers=0"),
    ],
)
def test_limits_that_could_not_be_kept_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        process_limits(**options)  # pyright: ignore[reportArgumentType]  # some are no integers


def test_no_process_has_no_limits() -> None:
    assert process_limits(render_workers=0) is None
    assert process_limits() == process_limits(render_workers=3) == ProcessLimits()
