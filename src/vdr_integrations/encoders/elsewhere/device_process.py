"""This process's side of one that holds a model on a device: it is started, asked, and ended."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vdr_integrations import errors
from vdr_integrations.encoders.elsewhere.pipe_messages import Reader, write_message
from vdr_integrations.encoders.elsewhere.plain_items import PlainPage, PlainQuery, TokensOf
from vdr_integrations.encoders.runtime.running_model import ModelFacts
from vdr_integrations.errors import (
    CheckpointError,
    EncodingError,
    MissingExtraError,
    PageError,
    ResourceError,
    VdrError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders.preprocessing.prepared import Prepared
    from vdr_integrations.encoders.runtime.running_model import ModelOrigin

__all__ = ["DeviceProcess", "ItemResult"]

ItemResult = Any
"""A vector or matrix, the tokens of a query, or a VdrError."""

_CODE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from vdr_integrations.encoders.elsewhere.device_program import main
main(int(sys.argv[2]))
"""
_END_S = 10.0
_SIGKILL = 9
_LAST_BYTES = 4096


class DeviceProcess:
    """A process that holds a model.

    Attributes:
        device: Its device, in messages: ``"cuda:1"``.
    """

    def __init__(self, origin: ModelOrigin, *, name: str, device: str, threads: int) -> None:
        """Start it; :meth:`facts` waits until it is ready.

        Args:
            origin: What the model is loaded from, there.
            name: The model, in messages.
            device: Its device, in messages.
            threads: Number of threads in which it computes.

        Raises:
            ResourceError: This machine cannot start it.
        """
        self.device = device
        self._name = name
        try:
            with ExitStack() as ours, ExitStack() as theirs:
                self._messages = ours.enter_context(tempfile.TemporaryFile())
                requests, self._requests = _pipe(reader=theirs, writer=ours)
                self._replies, replies = _pipe(reader=ours, writer=theirs)
                self._process = self._started(requests, replies, threads)
                ours.pop_all()
        except OSError as problem:
            raise ResourceError(
                f"{name}: a process for {device} cannot be started ({problem}). Raise the limits "
                f"of this machine (ulimit -n, ulimit -u), or use fewer devices."
            ) from problem
        self._reader = Reader(self._replies)
        with suppress(OSError):  # it has ended; that is seen later
            pickled = np.frombuffer(pickle.dumps(origin), np.uint8)
            write_message(self._requests, {}, [pickled])

    @property
    def process_id(self) -> int:
        """Its number in the system."""
        return self._process.pid

    def facts(self) -> ModelFacts:
        """Wait until the model is loaded, and say what it is.

        Raises:
            VdrError: It cannot be loaded; the error names the device.
            EncodingError: The process ended.
        """
        message = self._read()
        if message is None:
            raise EncodingError(
                f"{self._name} cannot be loaded on {self.device}: {self.why_ended()}. Use other "
                f"devices, or one alone."
            )
        if "facts" in message[0]:
            return ModelFacts(**message[0]["facts"])
        error = _error(message[0])
        raise type(error)(f"{self.device}: {error}") from error

    def send(self, number: int, items: Sequence[Prepared], *, budget: int) -> None:
        """Send pages or queries; :meth:`results` gets what becomes of them.

        Raises:
            OSError: It has ended.
        """
        pages = [item.pixels for item in items if isinstance(item, PlainPage)]
        request = {"number": number, "budget": budget, "items": [*map(_written, items)]}
        write_message(self._requests, request, pages)

    def results(self) -> tuple[int, list[ItemResult]] | None:
        """The number of a request and its results, in their order; None if it has ended."""
        message = self._read()
        if message is None:
            return None
        facts, arrays = message
        try:
            return facts["number"], list(_results(facts["items"], iter(arrays)))
        except (KeyError, TypeError, RuntimeError):  # fewer arrays than items
            return None

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()  # does nothing if it has ended and was waited for

    def wait(self) -> None:
        """Wait for its end, which :meth:`kill` brings about."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)

    def end(self) -> None:
        """End it before anybody has worked with it."""
        self.kill()
        self.wait()
        self.close_requests()
        self.close_replies()

    def close_requests(self) -> None:
        """Let go of the pipe; only who sends may do that."""
        os.close(self._requests)

    def close_replies(self) -> None:
        """Let go of the rest; only who reads may do that, after :meth:`why_ended`."""
        os.close(self._replies)
        self._messages.close()

    def why_ended(self) -> str:
        """Why it ended, in words."""
        self.wait()
        if self._process.poll() is None:
            self.kill()
            self.wait()
            return "its process answered no more"
        code = self._process.returncode
        with suppress(OSError, ValueError):
            said = self._last_line()
            if code and code > 0 and said:
                return f"its process ended ({said})"
        if code == -_SIGKILL:
            return "its process was killed (signal 9), as systems do when memory is short"
        if code is not None and code < 0:
            return f"its process ended by signal {-code}"
        return f"its process ended with code {code}"

    def forget(self) -> None:
        """Let go of it in a forked process, to which it does not belong."""
        for descriptor in (self._requests, self._replies):
            os.close(descriptor)
        self._process.returncode = 0

    def _started(self, requests: int, replies: int, threads: int) -> subprocess.Popen[bytes]:
        path = [str(Path(errors.__file__).absolute().parents[1])]
        path += [os.path.abspath(entry or os.curdir) for entry in sys.path]  # noqa: PTH100
        return subprocess.Popen(  # noqa: S603  # this interpreter
            [sys.executable, "-c", _CODE, json.dumps(path), str(threads)],
            stdin=requests,
            stdout=replies,
            stderr=self._messages,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )

    def _read(self) -> tuple[dict[str, Any], list[NDArray[Any]]] | None:
        try:
            return self._reader.read()
        except (OSError, ValueError, KeyError, TypeError):  # it says what it should not
            return None

    def _last_line(self) -> str:
        """The last line that it wrote for people."""
        size = os.fstat(self._messages.fileno()).st_size
        self._messages.seek(max(size - _LAST_BYTES, 0))
        lines = self._messages.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _pipe(*, reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed by these two."""
    reads, writes = os.pipe()
    reader.callback(os.close, reads)
    writer.callback(os.close, writes)
    return reads, writes


def _written(item: Prepared) -> dict[str, str]:
    if isinstance(item, PlainQuery):
        return {"query": item.text}
    return {"tokens_of": item.text} if isinstance(item, TokensOf) else {}


def _results(items: list[dict[str, Any]], arrays: Iterator[NDArray[Any]]) -> Iterator[ItemResult]:
    for item in items:
        if "error" in item:
            yield _error(item)
        else:
            yield item["tokens"] if "tokens" in item else next(arrays)


def _error(message: dict[str, Any]) -> VdrError:
    """The error that a message stands for."""
    kind = getattr(errors, str(message["error"]), EncodingError)
    if issubclass(kind, PageError | MissingExtraError):  # they have other arguments
        kind = CheckpointError
    return kind(str(message["reason"]))
