"""This process's side of one that opens files of others: it is started, asked, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from PIL import Image

from vdr_integrations import errors
from vdr_integrations.errors import MissingExtraError, PageError, ResourceError, VdrError
from vdr_integrations.pages.processes.child_program import MEMORY_CODE
from vdr_integrations.pages.processes.messages import (
    PAYLOAD_BYTES,
    Message,
    read_message,
    write_message,
)
from vdr_integrations.pages.processes.shared_pixels import SharedPixels
from vdr_integrations.pages.processes.watch import watched

if TYPE_CHECKING:
    from collections.abc import Generator

    from vdr_integrations.pages.file_limits import ImageLimits, RenderLimits
    from vdr_integrations.pages.process_limits import ProcessLimits

__all__ = ["ChildProcess", "EndedBy", "ProcessEndedError"]

EndedBy = Literal["memory", "CPU time", "wall time", "crash"]

_START_S = 120.0
"""A process is ready in half a second; whatever takes this long hangs."""
_END_S = 0.5
_LONGEST_REPLY_BYTES = 8 * 1024**2
_BYTES_PER_CHARACTER = 12
"""The longest way in which JSON writes a character."""
_CODE = """
import json, sys
start = json.loads(sys.stdin.buffer.readline())
sys.path[:] = start["path"]
from vdr_integrations.pages.processes.child_program import main
main(start)
"""
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
"""Variables that the process gets. Others may hold keys and tokens."""
_BY_CODE: dict[int, EndedBy] = {MEMORY_CODE: "memory"}
if hasattr(signal, "SIGPROF"):
    _BY_CODE[-signal.SIGPROF] = "CPU time"  # the end of child_limits.begin_page
_SET = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class ProcessEndedError(Exception):
    """A process ended, or had to be ended, while it worked.

    Attributes:
        by: The limit that was exceeded, or "crash".
        detail: How a crash ended: "signal 11".
        is_first: Whether this was the first work of the process.
    """

    def __init__(self, by: EndedBy, *, detail: str = "", is_first: bool = False) -> None:
        super().__init__(by)
        self.by: EndedBy = by
        self.detail = detail
        self.is_first = is_first


class ChildProcess:
    """A process with limits.

    Attributes:
        limits: Its limits.
        open_keys: Keys of the files that it holds open, the one used last at the end.
    """

    def __init__(self, limits: ProcessLimits, *, is_watched: bool) -> None:
        """Start it and wait until it is ready.

        Args:
            limits: Its limits.
            is_watched: Whether this process watches its memory and CPU time. False if it can limit
                itself (Linux).

        Raises:
            ResourceError: This machine cannot start it.
        """
        self.limits = limits
        self.open_keys: dict[int, None] = {}
        self._is_watched = is_watched
        self._ended_by: EndedBy | None = None
        self._jobs = 0
        self._begins_page = False
        self._until = time.monotonic() + _START_S
        self._cpu_before_s = 0.0
        self._used_bytes = 0
        self._pixels: SharedPixels | None = None
        try:
            self._pixels = SharedPixels.made()
            self._process = self._started()
        except (OSError, TypeError, ValueError, subprocess.SubprocessError) as problem:
            if self._pixels is not None:
                self._pixels.close()
            raise _not_started(f"{type(problem).__name__}: {problem}") from problem
        self._requests = cast("BinaryIO", self._process.stdin)
        self._replies = cast("BinaryIO", self._process.stdout)
        with watched(self):
            is_ready = self._reply() is not None
        if not is_ready:
            self.end()
            raise _not_started(
                f"it ended before it opened anything, with code {self._process.returncode}"
            )

    @property
    def process_id(self) -> int:
        """Its number in the system."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._ended_by is None

    @property
    def is_worn(self) -> bool:
        """Whether it keeps so much memory that a page might not get what it may have."""
        return self._used_bytes > self.limits.memory_mb * 1024**2 / 2

    def begin_job(self) -> None:
        """Work for another page or file begins."""
        self._jobs += 1
        self.begin_page()

    def begin_page(self) -> None:
        """Grant the limits of a page, from the next request on."""
        self._begins_page = True
        self._until = time.monotonic() + self.limits.wall_s
        if self._is_watched:
            self._cpu_before_s = self._cpu_s()

    def ask(
        self,
        request: Message,
        *,
        payload: bytes | memoryview | None = None,
        source: str,
        characters: int = 0,
    ) -> Message:
        """The answer to a request.

        Args:
            request: What to do; see ``child_program``.
            payload: Bytes that belong to it.
            source: Name of the file in errors.
            characters: Most characters of text in the answer.

        Raises:
            ProcessEndedError: It exceeded a limit, or crashed. It has ended.
            PageError: The file, page or image is unusable.
            MissingExtraError: A package is not installed.
            ResourceError: This machine is short of something.
        """
        if self._begins_page:
            request = request | {"cpu_s": self.limits.page_timeout_s}
            self._begins_page = False
        longest = _LONGEST_REPLY_BYTES + _BYTES_PER_CHARACTER * characters
        with watched(self):
            try:
                write_message(self._requests, request, payload)
                reply = self._reply(longest)
            except (OSError, ValueError):  # it has ended, or says what it should not
                reply = None
        if reply is None:
            raise self._end_of_work()
        if reply.get("shortage"):
            self._ended_by = "memory"
            raise self._end_of_work()
        self._used_bytes = int(reply.get("used_bytes", self._used_bytes))
        return _checked(reply, source)

    @contextmanager
    def believed(self) -> Generator[None]:
        """Read an answer in the block. One that makes no sense ends the process.

        Raises:
            ProcessEndedError: What the block reads is not what was asked for.
        """
        try:
            yield
        except VdrError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as problem:
            self.end()
            raise ProcessEndedError("crash", detail="it gave a wrong answer") from problem

    def open_file(
        self,
        what: str,
        content: Path | bytes,
        *,
        source: str,
        limits: RenderLimits | ImageLimits,
        **options: object,
    ) -> Message:
        """The answer to a request that opens a file; errors as in :meth:`ask`.

        Args:
            what: "open_pdf", "open_tiff" or "open_image".
            content: Path of the file, or its bytes.
            source: Its name in errors.
            limits: Limits of the file.
            options: The rest of the request.
        """
        data = content if isinstance(content, bytes) else None
        request = {
            "do": what,
            "path": None if data is not None else str(content),
            "source": source,
            "limits": asdict(limits),
            **options,
        }
        return self.ask(request, payload=data, source=source)

    def close_file(self, key: int) -> None:
        """Let it close a file that it holds open.

        Raises:
            ProcessEndedError: It has ended.
        """
        self.open_keys.pop(key, None)
        self.ask({"do": "close_file", "key": key}, source="a file")

    def image(self, reply: Message, *, height: int, width: int) -> Image.Image:
        """The RGB image of this size that belongs to an answer.

        Raises:
            ProcessEndedError: It is not there.
        """
        with self._pixels_of(reply, 3 * height * width) as samples:
            return Image.frombytes("RGB", (width, height), samples)  # pyright: ignore[reportArgumentType]  # any buffer

    def _pixels_of(self, reply: Message, size: int) -> memoryview:
        if PAYLOAD_BYTES not in reply and self._pixels is not None:
            return self._pixels.view(size)
        with watched(self):
            data = self._replies.read(size) if reply.get(PAYLOAD_BYTES) == size else b""
        if len(data) != size:
            raise self._end_of_work()
        return memoryview(data)

    def make_room(self, *, height: int, width: int) -> None:
        """Make the shared memory large enough for an RGB image of this size.

        Raises:
            ResourceError: This machine is short of memory.
        """
        size = 3 * height * width
        if self._pixels is not None:
            try:
                self._pixels.grow(size)
            except OSError as problem:
                raise ResourceError(
                    f"there is no memory for an image of {size:,} bytes ({problem}); close other "
                    f"programs."
                ) from problem

    def look(self, now: float) -> None:
        """End it if it has taken too long, or has exceeded a limit that it cannot set itself."""
        if now > self._until:
            self._kill("wall time")
        elif self._is_watched:
            if self._memory_bytes() > self.limits.memory_mb * 1024**2:
                self._kill("memory")
            elif self._cpu_s() - self._cpu_before_s > self.limits.page_timeout_s:
                self._kill("CPU time")

    def stop(self) -> None:
        """End what it does, from another thread; the one that asks it sees that it has ended."""
        self._kill("crash")

    def end(self) -> None:
        """End it at once. A second call does nothing."""
        self._kill("crash")
        with suppress(OSError):
            self._requests.close()
        self._replies.close()
        self._process.wait()
        if self._pixels is not None:
            self._pixels.close()
            self._pixels = None

    def forget(self) -> None:
        """Let go of it in a forked process, to which it does not belong."""
        self._ended_by = "crash"
        for file in (self._requests, self._replies):
            with suppress(OSError):
                os.close(file.fileno())
        self._process.returncode = 0

    def _started(self) -> subprocess.Popen[bytes]:
        start: Message = {
            "path": _import_path(),
            "parent_id": os.getpid(),
            "memory_bytes": None if self._is_watched else self.limits.memory_mb * 1024**2,
            "pixels": None if self._pixels is None else self._pixels.descriptor,
        }
        process = subprocess.Popen(  # noqa: S603  # this interpreter
            [sys.executable, "-I", "-B", "-X", "utf8", "-c", _CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.path.abspath(os.sep),  # noqa: PTH100  # it keeps no folder in use
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _SET,
            pass_fds=() if self._pixels is None else (self._pixels.descriptor,),
        )
        with suppress(BrokenPipeError):  # it has ended; that is seen later
            write_message(cast("BinaryIO", process.stdin), start)
        return process

    def _reply(self, longest_bytes: int = _LONGEST_REPLY_BYTES) -> Message | None:
        return read_message(self._replies, longest_bytes=longest_bytes)

    def _end_of_work(self) -> ProcessEndedError:
        if self._ended_by is None:
            with suppress(subprocess.TimeoutExpired):  # it ends by itself, and says how
                self._process.wait(_END_S)
        by, is_first = self._ended_by, self._jobs <= 1
        self.end()
        code = self._process.returncode
        if by is None:
            by = _BY_CODE.get(code, "crash")
        detail = f"signal {-code}" if code < 0 else f"code {code}"
        return ProcessEndedError(by, detail=detail, is_first=is_first)

    def _kill(self, by: EndedBy) -> None:
        if self._ended_by is None:
            self._ended_by = by
        self._process.kill()  # does nothing if it has ended and was waited for

    def _memory_bytes(self) -> int:
        import psutil

        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def _cpu_s(self) -> float:
        import psutil

        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)


def _import_path() -> list[str]:
    """Where the process imports from: the same files as this one, from anywhere."""
    package = Path(errors.__file__).absolute().parents[1]
    found = [str(package)]
    for entry in sys.path:
        with suppress(OSError, TypeError):  # the current folder is gone; not a text
            found.append(os.path.abspath(os.fsdecode(entry) or os.curdir))  # noqa: PTH100
    return found


def _checked(reply: Message, source: str) -> Message:
    """The reply, or the error that it stands for."""
    if "error" in reply:
        kind = getattr(errors, str(reply["error"]), PageError)
        if not (isinstance(kind, type) and issubclass(kind, PageError)):
            kind = PageError
        raise kind(str(reply["reason"]), source=source, page_number=reply.get("page_number"))
    if "missing" in reply:
        raise MissingExtraError(**{name: str(value) for name, value in reply["missing"].items()})
    if "resource" in reply:
        raise ResourceError(
            f"{source}: the process that opens it is short of open files or memory. Close other "
            f"programs, or raise the limits of this machine (ulimit -n)."
        )
    return reply


def _not_started(reason: str) -> ResourceError:
    return ResourceError(
        f"a process that opens files cannot be started ({reason}). Open files without it if you "
        f"trust them (render_workers=0; open_pdf, open_image: process_limits=None; vdr: "
        f"--workers 0), or raise the limits of this machine (ulimit -n, ulimit -u)."
    )
