"""A prepared process is like one that is started in the usual way, but for its imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.patience import HANG_S
from tests.prepared.python import PreparedPython

if TYPE_CHECKING:
    from pathlib import Path

SHOWS = """
import os, signal, sys
print(sys.argv, __name__, os.getcwd(), sorted(os.environ), os.environ["HELLO"])
print(sys.stdin.read(), sys.stdin.isatty(), signal.getsignal(signal.SIGINT))
print("to stderr", file=sys.stderr)
print("tests.prepared.server" in sys.modules, [name for name in globals() if name[0] != "_"])
sys.exit(7)
"""


def test_what_a_program_sees_is_what_it_sees_elsewhere(
    prepared_python: PreparedPython, tmp_path: Path
) -> None:
    environment = {"HELLO": "é", "PATH": os.environ["PATH"]}
    arguments = ["-c", SHOWS, "one", "--two"]
    usual = subprocess.run(
        [sys.executable, *arguments],
        input="asked",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment | {"PYTHONUTF8": "1"},
        check=False,
    )
    ours = prepared_python.run(
        *arguments, asked="asked", cwd=tmp_path, env=environment | {"PYTHONUTF8": "1"}
    )
    assert ours.returncode == usual.returncode == 7
    assert ours.stdout.replace(", 'LC_CTYPE'", "") == usual.stdout.replace(", 'LC_CTYPE'", "")
    assert ours.stderr == usual.stderr


def test_torch_is_there_already(prepared_python: PreparedPython) -> None:
    done = prepared_python.run("-c", "import sys\nprint('torch' in sys.modules)")
    assert done.stdout == "True\n"


@pytest.mark.parametrize("code", ["raise ValueError('own')", "import sys\nsys.exit('said')"])
def test_an_error_ends_it_with_one(prepared_python: PreparedPython, code: str) -> None:
    done = prepared_python.run("-c", code)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] in {"ValueError: own", "said"}


def test_what_is_registered_for_the_end_is_done(prepared_python: PreparedPython) -> None:
    done = prepared_python.run("-c", "import atexit\natexit.register(print, 'the end')")
    assert (done.stdout, done.returncode) == ("the end\n", 0)


def test_a_module_runs_as_the_program(prepared_python: PreparedPython) -> None:
    done = prepared_python.run("-m", "vdr_integrations", "--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("vdr")


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL", "SIGTERM"])
def test_signals_reach_it(prepared_python: PreparedPython, name: str) -> None:
    number = signal.Signals[name]  # Windows has no SIGKILL
    waits = "import threading\nprint('on', flush=True)\nthreading.Event().wait()"
    with prepared_python.start(
        "-c", waits, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.001)
        process.send_signal(number)
        _, said = process.communicate(timeout=HANG_S)
    assert process.returncode == -number
    assert ("KeyboardInterrupt" in said) == (number == signal.SIGINT)


def test_two_run_at_a_time_and_each_hears_its_own(prepared_python: PreparedPython) -> None:
    echoes = "import sys\nprint(sys.stdin.readline().strip(), flush=True)"
    with (
        prepared_python.start(
            "-c", echoes, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as first,
        prepared_python.start(
            "-c", echoes, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as second,
    ):
        assert second.communicate("second", HANG_S)[0] == "second\n"
        assert first.poll() is None
        assert first.communicate("first", HANG_S)[0] == "first\n"


def test_a_process_that_it_leaves_on_its_pipe_is_not_overlooked(
    prepared_python: PreparedPython,
) -> None:
    leaves = "import subprocess, sys\nsubprocess.Popen(['sleep', '1000'])\nprint('out')"
    with pytest.raises(subprocess.TimeoutExpired):
        prepared_python.run("-c", leaves, timeout=3)


def test_more_than_a_pipe_holds_reaches_it(prepared_python: PreparedPython) -> None:
    done = prepared_python.run(
        "-c", "import sys\nprint(len(sys.stdin.read()))", asked="x" * 300_000
    )
    assert done.stdout == "300000\n"


def test_a_server_that_was_killed_is_started_again() -> None:
    python = PreparedPython([])
    pid = python.run("-c", "import os\nprint(os.getppid())").stdout
    os.kill(int(pid), signal.SIGKILL)
    os.waitid(os.P_PID, int(pid), os.WEXITED | os.WNOWAIT)
    assert python.run("-c", "print('again')").stdout == "again\n"
    python.close()
