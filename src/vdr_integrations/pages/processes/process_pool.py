"""The processes of this one that open files: how many there are, and who works for whom."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from vdr_integrations.errors import ResourceError
from vdr_integrations.pages.processes import watch
from vdr_integrations.pages.processes.child_process import ChildProcess, ProcessEndedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdr_integrations.pages.process_limits import ProcessLimits

__all__ = [
    "Lane",
    "ProcessPool",
    "close_document",
    "close_pools",
    "default_lane",
    "done_here",
    "end_work",
    "result_of",
    "shared_pool",
]

Result = TypeVar("Result")

_IDLE_S = 60.0
"""A process without work ends after this time; a new one is ready in half a second."""


class Lane:
    """Work of one caller, of which only a part may run at a time.

    Attributes:
        processes: Most processes that work for the caller at a time.
    """

    def __init__(self, processes: int) -> None:
        """Let this many processes work at a time."""
        self.processes = processes
        self.running = 0


@dataclass(slots=True, eq=False)
class _Job(Generic[Result]):
    work: Callable[[ChildProcess], Result]
    failure: Callable[[ProcessEndedError], Exception]
    lane: Lane
    key: int | None
    future: Future[Result] = field(default_factory=Future[Result])
    is_dropped: bool = False

    def run(self, server: _Server) -> None:
        """Do the work and set the future."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self._result(server))
        except ProcessEndedError as end:
            self.future.set_exception(CancelledError() if self.is_dropped else self.failure(end))
        except BaseException as error:  # noqa: BLE001  # it belongs to who waits for the result
            self.future.set_exception(error)

    def _result(self, server: _Server) -> Result:
        try:
            return self._worked(server)
        except ProcessEndedError as end:
            if end.is_first or end.by in {"CPU time", "wall time"} or self.is_dropped:
                raise
        # What the process did before may be the cause. A new one knows nothing of that.
        return self._worked(server)

    def _worked(self, server: _Server) -> Result:
        child = server.ready()
        if self.is_dropped:  # while the process was started, so that nobody could end it
            raise CancelledError
        return self.work(child)


class _Server:
    """A thread with a process, which is started when there is work for it."""

    def __init__(self, pool: ProcessPool) -> None:
        self.child: ChildProcess | None = None
        self.job: _Job[Any] | None = None
        self._pool = pool
        self.thread = threading.Thread(target=self._serve, name="vdr-open-files", daemon=True)

    def holds(self, key: int | None) -> bool:
        child = self.child  # its thread may let it go at any moment
        return key is not None and child is not None and key in child.open_keys

    def ready(self) -> ChildProcess:
        """A process that can be asked, with the limits of a page before it."""
        if self.child is not None and not self.child.is_alive:
            self.let_go()
        if self.child is None:
            self.child = self._pool.new_child()
        self.child.begin_job()
        return self.child

    def let_go(self) -> None:
        child, self.child = self.child, None
        if child is not None:
            child.end()

    def _serve(self) -> None:
        try:
            while self._pool.give_work(self):
                job = self.job
                if job is None:
                    self._close_documents()
                    continue
                job.run(self)
                if self.child is not None and self.child.is_worn:
                    self.let_go()
        finally:
            self.let_go()

    def _close_documents(self) -> None:
        child = self.child
        for key in self._pool.closed_keys(self):
            if child is not None and child.is_alive:
                with suppress(ProcessEndedError):
                    child.close_file(key)


class ProcessPool:
    """Processes with the same limits. Several threads may use it.

    Attributes:
        limits: The limits of each process.
        is_closed: Whether its processes have been ended for good.
    """

    def __init__(
        self, limits: ProcessLimits, *, is_watched: bool = not sys.platform.startswith("linux")
    ) -> None:
        """Start no process yet.

        Args:
            limits: The limits of each process.
            is_watched: Whether memory and CPU time are watched from here; where processes can
                limit themselves (Linux) they do.
        """
        self.limits = limits
        self.is_closed = False
        self._is_watched = is_watched
        self._changed = threading.Condition()
        self._jobs: deque[_Job[Any]] = deque()
        self._servers: list[_Server] = []
        self._closing: deque[int] = deque()
        self._closed_keys: set[int] = set()

    def submit(
        self,
        work: Callable[[ChildProcess], Result],
        *,
        failure: Callable[[ProcessEndedError], Exception],
        lane: Lane,
        key: int | None = None,
    ) -> Future[Result]:
        """Begin work in one of the processes.

        Args:
            work: Asks the process; called in another thread, and once more with a new process if
                the first had done other work before and crashed or was short of memory.
            failure: The error that stands for the end of the process.
            lane: Whose work it is.
            key: File that the work needs; a process that holds it open is preferred.

        Returns:
            The future result. It raises what ``work`` raises, or the error of ``failure``;
            ResourceError if this machine cannot start a process.
        """
        job = _Job(work, failure, lane, key)
        with self._changed:
            self._jobs.append(job)
            self._start_servers()
            self._changed.notify_all()
        return job.future

    def end_work(self, lane: Lane, *, at_once: bool) -> None:
        """Drop the work of a caller that has not begun.

        Args:
            lane: Whose work it is.
            at_once: Whether to end the processes that are working for the caller, too.
        """
        with self._changed:
            for job in [job for job in self._jobs if job.lane is lane]:
                self._jobs.remove(job)
                job.future.cancel()
            for server in self._servers if at_once else ():
                if server.job is not None and server.job.lane is lane:
                    server.job.is_dropped = True
                    if server.child is not None:
                        server.child.stop()

    def close_document(self, key: int) -> None:
        """Let processes close a file, when they have time.

        Garbage collection calls this, in any thread and at any line: it waits for no lock.
        """
        self._closing.append(key)
        if self._changed.acquire(blocking=False):
            try:
                self._changed.notify_all()
            finally:
                self._changed.release()

    def close(self) -> None:
        """End all processes, and wait until they have ended."""
        with self._changed:
            self.is_closed = True
            for job in self._jobs:
                job.future.cancel()
            self._jobs.clear()
            servers = list(self._servers)
            for server in servers:
                if server.job is not None:
                    server.job.is_dropped = True
                if server.child is not None:
                    server.child.stop()
            self._changed.notify_all()
        for server in servers:
            if server.thread is not threading.current_thread():
                server.thread.join()

    def give_work(self, server: _Server) -> bool:
        """Wait until there is a job for a server, or files to close; False if it shall end."""
        until = time.monotonic() + _IDLE_S
        with self._changed:
            if server.job is not None:
                server.job.lane.running -= 1
                server.job = None
                self._changed.notify_all()
            while not self.is_closed:
                server.job = self._job_for(server)
                if server.job is not None:
                    self._jobs.remove(server.job)
                    server.job.lane.running += 1
                    return True
                if self._to_close(server):
                    return True
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._servers.remove(server)
            return False

    def closed_keys(self, server: _Server) -> list[int]:
        """Keys of the files that a server's process shall close."""
        with self._changed:
            return self._to_close(server)

    def new_child(self) -> ChildProcess:
        """A new process.

        Raises:
            ResourceError: This machine cannot start it.
        """
        return ChildProcess(self.limits, is_watched=self._is_watched)

    def forget(self) -> None:
        """Let go of all processes in a forked process, to which they do not belong."""
        for server in self._servers:
            if server.child is not None:
                server.child.forget()

    def _job_for(self, server: _Server) -> _Job[Any] | None:
        """The first job whose file the server holds open; else the first for which none waits."""
        ready = [job for job in self._jobs if job.lane.running < job.lane.processes]
        for job in ready:
            if server.holds(job.key):
                return job
        waiting = [other for other in self._servers if other.job is None and other is not server]
        for job in ready:
            if not any(other.holds(job.key) for other in waiting):
                return job
        return None

    def _to_close(self, server: _Server) -> list[int]:
        while self._closing:
            self._closed_keys.add(self._closing.popleft())
        self._closed_keys = {
            key for key in self._closed_keys if any(one.holds(key) for one in self._servers)
        }
        held = () if server.child is None else server.child.open_keys
        needed = {job.key for job in self._jobs}  # pages that were begun before it was closed
        return [key for key in held if key in self._closed_keys and key not in needed]

    def _start_servers(self) -> None:
        waiting = sum(server.job is None for server in self._servers)
        lanes = {id(job.lane): job.lane for job in self._jobs}.values()
        wanted = sum(
            min(
                lane.processes - lane.running,
                sum(job.lane is lane for job in self._jobs),
            )
            for lane in lanes
        )
        most = max([_MOST_PROCESSES, *(lane.processes for lane in lanes)])
        while waiting < wanted and len(self._servers) < most:
            server = _Server(self)
            try:
                server.thread.start()  # waits for the lock that is held here
            except RuntimeError as problem:  # no more threads, or the interpreter ends
                if self._servers:
                    return  # those that run do the work, one after the other
                self._jobs.pop().future.cancel()
                raise ResourceError(
                    f"no thread can be started that asks the processes that open files "
                    f"({problem}). Raise the limit of this machine (ulimit -u)."
                ) from problem
            self._servers.append(server)
            waiting += 1


_pools: dict[ProcessLimits, ProcessPool] = {}
_ending = threading.Event()
_pools_lock = threading.Lock()
_MOST_PROCESSES = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)
"""Processes for callers who do not say how many they want."""


def shared_pool(limits: ProcessLimits) -> ProcessPool:
    """The pool with these limits that all of this process share."""
    with _pools_lock:
        pool = _pools.get(limits)
        if pool is None or pool.is_closed:
            pool = _pools[limits] = ProcessPool(limits)
        return pool


def close_pools() -> None:
    """End all processes that open files. The next file starts new ones."""
    with _pools_lock:
        pools = list(_pools.values())
        _pools.clear()
    for pool in pools:
        pool.close()


def _close_at_the_end() -> None:
    _ending.set()
    close_pools()


def close_document(key: int, limits: ProcessLimits) -> None:
    """Let processes close a file; see :meth:`ProcessPool.close_document`."""
    pool = _pools.get(limits)
    if pool is not None:
        pool.close_document(key)


def done_here(work: Callable[[], Result], *, shortage: Callable[[], Exception]) -> Future[Result]:
    """Do work in this process at once; the future is as that of :meth:`ProcessPool.submit`.

    Args:
        work: What to do.
        shortage: The error that stands for a want of memory.
    """
    future: Future[Result] = Future()
    try:
        future.set_result(work())
    except MemoryError as problem:
        error = shortage()
        error.__cause__ = problem
        future.set_exception(error)
    except Exception as error:  # noqa: BLE001  # it belongs to who waits for the result
        future.set_exception(error)
    return future


def result_of(future: Future[Result], lane: Lane) -> Result:
    """Wait for a result. If the waiting is interrupted, the work ends too.

    Raises:
        SystemExit: The process ends, and this is not its main thread.
    """
    try:
        return future.result()
    except CancelledError:
        if _ending.is_set() and threading.current_thread() is not threading.main_thread():
            raise SystemExit from None  # Python prints nothing
        raise
    except BaseException:
        if not future.done():
            end_work(lane, at_once=True)
        raise


def end_work(lane: Lane, *, at_once: bool) -> None:
    """Drop the work of a caller; see :meth:`ProcessPool.end_work`."""
    with _pools_lock:
        pools = list(_pools.values())
    for pool in pools:
        pool.end_work(lane, at_once=at_once)


def default_lane() -> Lane:
    """A lane for work that its caller waits for."""
    return Lane(_MOST_PROCESSES)


def _after_fork() -> None:
    global _pools_lock  # noqa: PLW0603  # one for each process
    _pools_lock = threading.Lock()
    watch.forget_after_fork()
    for pool in _pools.values():
        pool.forget()
    _pools.clear()


# Before threads are joined that wait for a page; concurrent.futures ends its threads in this way.
getattr(threading, "_register_atexit", atexit.register)(_close_at_the_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
