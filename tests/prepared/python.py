"""Python programs in processes of their own that need not import torch first.

`PreparedPython.run` and `PreparedPython.start` stand for `subprocess.run([sys.executable, ...])`
and `subprocess.Popen([sys.executable, ...])`. Starting Python is the same but for its imports:
whatever is about imports, options of the interpreter or variables that a library reads when it is
imported needs a process that is started in the usual way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from tests.patience import HANG_S
from tests.prepared.request import ask, line_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

__all__ = ["Place", "PreparedProcess", "PreparedPython"]

ROOT = Path(__file__).resolve().parents[2]
MODULES = (
    "torch",
    "vdr_integrations.encoders.dense_encoder",
    "vdr_integrations.encoders.multi_vector_encoder",
    "vdr_integrations.index.dense_index",
    "vdr_integrations.index.late_interaction_index",
    "vdr_integrations.index.sync.synchronise",
    "vdr_integrations.cli.app",
    "vdr_integrations.retrieval.page_searcher",
    "pymupdf",
)
Place = int | IO[Any] | None


class PreparedProcess:
    """A program that runs, with the methods of `subprocess.Popen` that tests use.

    Attributes:
        args: The program and its arguments.
        pid: Number of the process.
        returncode: Its exit status; negative for a signal, None while it runs.
        stdin: Where it reads from, if that is a pipe.
        stdout: What it writes, if that is a pipe.
        stderr: What it reports, if that is a pipe.
    """

    def __init__(
        self, args: Sequence[str], connection: socket.socket, pipes: Sequence[IO[Any] | None]
    ) -> None:
        self.args = list(args)
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = pipes
        self._connection = connection
        self.pid = int(line_of(connection))

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns the exit status."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                status = line_of(self._connection)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from None
            assert status, "the server of prepared processes has ended"
            self.returncode = int(status)
            self._connection.close()
        return self.returncode

    def communicate(self, text: Any = None, timeout: float | None = None) -> tuple[Any, Any]:
        """Give it all input, and wait for its end; returns what it wrote, as its pipes are.

        Raises:
            subprocess.TimeoutExpired: It, or a process that it left, still writes after so many
                seconds.
        """
        said: dict[str, Any] = {"stdout": None, "stderr": None}

        def read(name: str, stream: IO[Any]) -> None:
            said[name] = stream.read()

        def write(stream: IO[Any]) -> None:
            with suppress(BrokenPipeError):  # it has ended, or reads no more
                if text:
                    stream.write(text)
                stream.close()

        until = None if timeout is None else time.monotonic() + timeout
        helpers = [
            threading.Thread(target=read, args=(name, stream), daemon=True)
            for name in said
            if (stream := getattr(self, name)) is not None
        ]
        if self.stdin is not None:
            helpers.append(threading.Thread(target=write, args=(self.stdin,), daemon=True))
        for helper in helpers:
            helper.start()
        self.wait(timeout)
        for helper in helpers:
            helper.join(None if until is None else max(0.0, until - time.monotonic()))
            if helper.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return said["stdout"], said["stderr"]

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait()


class PreparedPython:
    """Runs programs in forks of one process, which is started when the first is needed."""

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        """Import these modules before each program."""
        self._modules = modules
        self._folder = tempfile.TemporaryDirectory(prefix="vdr-prepared-")
        self._server: subprocess.Popen[bytes] | None = None
        self._started = 0

    @property
    def address(self) -> str:
        """The socket of the server, which is started if none runs."""
        if self._server is not None and self._server.poll() is not None:
            self._server.communicate()
            self._server = None
        if self._server is None:
            self._started += 1
            path = self._socket
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.prepared.server", path, *self._modules],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            assert self._server.stdout is not None
            assert self._server.stdout.readline() == b"ready\n"
        return self._socket

    @property
    def command(self) -> list[str]:
        """The beginning of a command line, which goes on with a program: as `sys.executable`."""
        path = f"PYTHONPATH={os.pathsep.join([str(ROOT / 'src'), str(ROOT)])}"
        return ["env", path, sys.executable, "-S", "-m", "tests.prepared.relay", self.address]

    @property
    def _socket(self) -> str:
        return str(Path(self._folder.name) / f"socket-{self._started}")

    def close(self) -> None:
        """End the server, and with it the programs that still run."""
        if self._server is not None:
            self._server.communicate(timeout=HANG_S)
        self._folder.cleanup()

    def start(
        self,
        *arguments: str,
        stdin: Place = None,
        stdout: Place = None,
        stderr: Place = None,
        text: bool = False,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> PreparedProcess:
        """As `subprocess.Popen([sys.executable, *arguments], ...)`."""
        with ExitStack() as passed_on:
            ours: list[IO[Any] | None] = []
            theirs: list[int] = []
            for number, place in enumerate((stdin, stdout, stderr)):
                mine, other = _stream(number, place, passed_on, text=text)
                ours.append(mine)
                theirs.append(theirs[1] if place == subprocess.STDOUT else other)
            connection = ask(
                self.address,
                arguments,
                theirs,
                environment=os.environ if env is None else env,
                folder=str(cwd or Path.cwd()),
                new_session=start_new_session,
            )
        return PreparedProcess(arguments, connection, ours)

    def run(
        self,
        *arguments: str,
        asked: str | None = None,
        stdin: Place = None,
        timeout: float = HANG_S,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run([sys.executable, *arguments], capture_output=True, text=True)`.

        ``asked`` is what it reads, if anything.

        If it takes longer than ``timeout`` seconds it is killed, with what it started.
        """
        with self.start(
            *arguments,
            stdin=subprocess.PIPE if asked is not None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=env,
            start_new_session=True,
        ) as process:
            try:
                out, errors = process.communicate(asked, timeout)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # those that it left too
                raise
        assert process.returncode is not None
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def _stream(
    number: int, place: Place, passed_on: ExitStack, *, text: bool
) -> tuple[IO[Any] | None, int]:
    """Our end of a standard stream, if it has one, and the descriptor of the other process.

    What is opened for the other process is closed with ``passed_on``.
    """
    if place is None:
        return None, number
    if place == subprocess.DEVNULL:
        place = os.open(os.devnull, os.O_RDWR)
        passed_on.callback(os.close, place)
    if place == subprocess.PIPE:
        reading, writing = os.pipe()
        mine, other = (writing, reading) if number == 0 else (reading, writing)
        passed_on.callback(os.close, other)
        mode = ("w" if number == 0 else "r") + ("" if text else "b")
        return os.fdopen(mine, mode, encoding="utf-8" if text else None), other
    return None, place if isinstance(place, int) else place.fileno()
