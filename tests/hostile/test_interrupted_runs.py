"""``vdr index`` over hostile files is interrupted or killed at any moment, and run again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.hostile.cases import CASES
from tests.hostile.hostile_pdf_structure import sound
from tests.hostile.processes_of_a_run import processes_of_session, wait_for_the_end_of
from tests.patience import HANG_S

from vdr_integrations.index import open_index

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.prepared.python import PreparedProcess, PreparedPython

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc of Linux")

GOOD = 12
HOSTILE = (
    "GIF called .jpg",
    "flipped bits, seed 1",
    "tiles of a hundred thousandth",
    "page that is a picture: JPEG",
    "png bomb",
    "text beside a picture: fax",
    "truncated after 50%",
)
"""The first of them draws for many seconds: no run ends before it is interrupted."""
ENDLESS_S = 10 * HANG_S
LONGEST_DELAY_S = 1.5
INTERRUPTED, PARTIAL = 130, 3


class Run:
    """``vdr index`` over a folder.

    Attributes:
        folder: The documents.
        index: The index.
        left_overs: Folders in which no temporary file may be left.
    """

    def __init__(self, root: Path, python: PreparedPython) -> None:
        self._python = python
        self.folder, self.index = root / "docs", root / "index"
        self.temporary = root / "temporary"
        self.left_overs = (self.index, root / "store")
        self.folder.mkdir()
        self.temporary.mkdir()
        for number in range(GOOD):
            (self.folder / f"{number:02} good.pdf").write_bytes(sound().to_bytes())
        hostile = (case for case in CASES if case.name in HOSTILE)
        for number, case in enumerate(hostile, start=1):  # a good one is before the first
            case.write(self.folder / f"{number:02} bad{Path(case.file_name).suffix}")
        self._environment = {
            **os.environ,
            "TMPDIR": str(self.temporary),
            "VDR_PAGE_STORE": str(root / "store"),
        }

    @contextmanager
    def started(self, *, page_timeout_s: float) -> Generator[PreparedProcess]:
        """The process, in a session of its own. What is left of it is killed in the end."""
        with self._python.start(
            *("-m", "vdr_integrations", "index", str(self.folder)),
            *("--index", str(self.index), "--model", "nano", "--max-visual-tokens", "16"),
            *("--workers", "1", "--page-timeout", f"{page_timeout_s:g}"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=self._environment,
        ) as process:
            try:
                yield process
            finally:
                for one in processes_of_session(process.pid):
                    with suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)

    def wait_until_writing(self, process: PreparedProcess) -> None:
        while not self.index.exists():
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
                raise AssertionError(process.communicate())

    def temporary_files(self) -> list[Path]:
        return [path for folder in self.left_overs for path in folder.rglob("*.tmp")]

    def ends_well(self) -> None:
        """A run to the end indexes what is good."""
        with self.started(page_timeout_s=1.0) as process:
            _, said = process.communicate(timeout=2 * HANG_S)
            assert process.returncode == PARTIAL, said
            assert (
                wait_for_the_end_of(processes_of_session(process.pid), patience_s=HANG_S) == set()
            )
        with open_index(self.index) as index:
            assert list(index.check_files()) == []
            found = {Path(document.source).name for document in index.documents()}
        assert {f"{number:02} good.pdf" for number in range(GOOD)} <= found
        assert self.temporary_files() == []


@pytest.fixture
def run(tmp_path: Path, prepared_python: PreparedPython) -> Run:
    return Run(tmp_path, prepared_python)


def moments(count: int) -> list[object]:
    """Seconds after the run began to write; most of them are left to slow runs."""
    chance = random.Random(0)
    return [
        pytest.param(chance.uniform(0, LONGEST_DELAY_S), marks=[pytest.mark.slow] if number else [])
        for number in range(count)
    ]


@pytest.mark.parametrize("to_all", [True, False], ids=["as a terminal does", "itself alone"])
@pytest.mark.parametrize("delay_s", moments(4))
def test_an_interrupted_run_ends_at_once_and_leaves_nothing_but_finished_documents(
    run: Run, delay_s: float, *, to_all: bool
) -> None:
    with run.started(page_timeout_s=ENDLESS_S) as process:
        run.wait_until_writing(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(delay_s)
        if to_all:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=HANG_S)
        assert wait_for_the_end_of(processes_of_session(process.pid), patience_s=HANG_S) == set()
        assert process.returncode == INTERRUPTED, said
    assert "Traceback" not in out + said
    assert run.temporary_files() == []
    assert list(run.temporary.iterdir()) == []
    run.ends_well()


@pytest.mark.parametrize("delay_s", moments(4))
def test_a_killed_run_takes_its_processes_with_it_and_the_next_one_goes_on(
    run: Run, delay_s: float
) -> None:
    with run.started(page_timeout_s=ENDLESS_S) as process:
        run.wait_until_writing(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(delay_s)
        process.kill()
        process.wait(HANG_S)
        assert wait_for_the_end_of(processes_of_session(process.pid), patience_s=HANG_S) == set()
    run.ends_well()
