"""A Python process that has imported torch, and forks whenever a program is to be run.

    python -m tests.prepared.server SOCKET MODULE...

A connection of the socket brings one program: a JSON line, with the descriptors that become its
standard input, output and error. The answers are the number of the process, and its exit status
when it has ended. A program is killed if its connection is closed before that. The server ends
when its standard input is closed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

STANDARD = 3
SEEN_PAGES = "SEEN_PAGES"
"""The variable by which a program asks for ``tests.prepared.seen_pages``."""
LONGEST = 1 << 20


@dataclass
class Program:
    """A program that runs.

    Attributes:
        pid: Its process.
        end: A descriptor that can be read when it has ended.
        asker: The connection that brought it.
    """

    pid: int
    end: int
    asker: socket.socket

    def answer(self) -> None:
        """Say how it ended."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.end)
        with self.asker, suppress(BrokenPipeError, ConnectionResetError):
            self.asker.sendall(b"%d\n" % status)


class Server:
    """Forks for each request of a socket, until the standard input is closed."""

    def __init__(self, listener: socket.socket) -> None:
        """Listen, with nothing that runs yet."""
        self._listener = listener
        self._running: list[Program] = []

    def serve(self) -> dict[str, Any] | None:
        """Returns the request in each child, and nothing when all is over."""
        watched = selectors.DefaultSelector()
        watched.register(sys.stdin, selectors.EVENT_READ)
        watched.register(self._listener, selectors.EVENT_READ)
        while True:
            for key, _ in watched.select():
                if key.fileobj is sys.stdin:
                    self._end()
                    return None
                if key.fileobj is self._listener:
                    connection, _ = self._listener.accept()
                    request, descriptors = receive(connection)
                    if (pid := os.fork()) == 0:
                        watched.close()
                        self._forget(connection)
                        take_over(request, descriptors)
                        return request
                    program = Program(pid, os.pidfd_open(pid), connection)
                    self._running.append(program)
                    watched.register(program.end, selectors.EVENT_READ, program)
                    watched.register(connection, selectors.EVENT_READ, program)
                    for one in descriptors:
                        os.close(one)
                    connection.sendall(b"%d\n" % pid)
                elif key.data in self._running:
                    program = key.data
                    if key.fileobj is program.asker:  # which has gone
                        os.kill(program.pid, signal.SIGKILL)
                    self._running.remove(program)
                    watched.unregister(program.end)
                    watched.unregister(program.asker)
                    program.answer()

    def _forget(self, connection: socket.socket) -> None:
        self._listener.close()
        connection.close()
        for other in self._running:
            os.close(other.end)
            other.asker.close()

    def _end(self) -> None:
        for program in self._running:
            os.kill(program.pid, signal.SIGKILL)
            program.answer()


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A request, which is one line, and its descriptors."""
    text, descriptors, _, _ = socket.recv_fds(connection, LONGEST, STANDARD)
    while not text.endswith(b"\n"):
        more = connection.recv(LONGEST)
        if not more:
            raise EOFError("a request ended before its line did")
        text += more
    return json.loads(text), descriptors


def take_over(request: dict[str, Any], descriptors: list[int]) -> None:
    """Become the process that was asked for."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if request["new_session"]:
        os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    # Python buffers a terminal by lines, and anything else by blocks.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding="utf-8", closefd=False, buffering=1, errors="backslashreplace"
    )
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if folder := os.environ.get(SEEN_PAGES):
        from tests.prepared.seen_pages import remember

        remember(Path(folder))


def program(arguments: list[str]) -> Callable[[], object]:
    """What ``python ARGUMENTS`` runs: ``-c CODE ...``, ``-m MODULE ...`` or ``FILE ...``."""
    if not arguments[0].startswith("-"):
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        return lambda: runpy.run_path(arguments[0], run_name="__main__")
    kind, what, *rest = arguments
    sys.path.insert(0, "")
    if kind == "-m":
        sys.argv = [what, *rest]
        return lambda: runpy.run_module(what, run_name="__main__", alter_sys=True)
    if kind == "-c":
        sys.argv = ["-c", *rest]
        main = sys.modules["__main__"] = ModuleType("__main__")
        code = compile(what, "<string>", "exec")
        return lambda: exec(code, main.__dict__)
    raise ValueError(f"found {kind!r}; a program begins with -c, -m or the name of a file.")


def main() -> dict[str, Any] | None:
    """Import, listen, and fork; returns the request in a child."""
    path, *modules = sys.argv[1:]
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # no program looks at what they share: it would copy all of it to do so
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        return Server(listener).serve()


if __name__ == "__main__":
    asked = main()
    if asked is not None:
        program(asked["arguments"])()
