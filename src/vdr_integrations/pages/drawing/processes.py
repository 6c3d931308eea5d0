"""Start processes that draw pages, give them work, replace them when one has ended, end them."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from vdr_integrations.errors import MissingExtraError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from multiprocessing.process import BaseProcess

__all__ = ["Processes"]

_LOOK_EVERY_S = 1.0
"""How often a process checks that the one that started it still runs."""

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Processes:
    """A number of processes, which are started when there is work for them."""

    def __init__(self, count: int) -> None:
        """Start no process yet."""
        self._count = count
        self._pool: Any = None  # loky's, untyped
        self._started: list[BaseProcess] = []

    def submit(
        self,
        call: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Future[Result]:
        """Begin a call in one of the processes.

        Returns:
            The future result. If a process ends before the call does, it raises BrokenProcessPool.

        Raises:
            ResourceError: This machine cannot start the processes.
            MissingExtraError: loky is not installed (extra ``pdf``).
        """
        try:
            return self._submit(call, *arguments, **options)
        except BrokenProcessPool:
            self.end()
            return self._submit(call, *arguments, **options)

    def start(self, first: Callable[[], object]) -> None:
        """Start the processes and wait until one of them has made a first call.

        Raises:
            ResourceError: This machine cannot start the processes, or they end at once.
            MissingExtraError: loky is not installed (extra ``pdf``).
        """
        try:
            self.submit(first).result()
        except BrokenProcessPool as problem:
            raise _not_started("one ended before it drew anything") from problem

    def end(self) -> None:
        """End the processes and their calls."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=True)
        self._started.clear()

    def _submit(
        self,
        call: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Future[Result]:
        try:
            if self._pool is None:
                self._pool = _pool(self._count, self._started)
            return self._pool.submit(call, *arguments, **options)
        except (BrokenProcessPool, MissingExtraError):
            raise
        # OSError: too few files, locks or processes. RuntimeError: too few threads. Others: errors
        # of loky that follow from one of these.
        except Exception as problem:
            self._give_up()
            first = problem.__context__ if isinstance(problem, UnboundLocalError) else None
            reason = first or problem
            raise _not_started(f"{type(reason).__name__}: {reason}") from problem

    def _give_up(self) -> None:
        """End the processes of a pool that could not start all; loky does not end them."""
        pool, self._pool = self._pool, None
        for process in self._started:
            if process.is_alive():
                process.terminate()
                process.join()
        self._started.clear()
        if pool is not None:
            pool.shutdown(wait=False, kill_workers=True)


class _Starter:
    """The context with which loky starts processes. It lists them; loky's pool does not."""

    def __init__(self, started: list[BaseProcess]) -> None:
        self._loky: Any = multiprocessing.get_context("loky")  # exists when loky is imported
        self._started = started

    def Process(self, *arguments: Any, **options: Any) -> BaseProcess:  # noqa: ANN401, N802  # as in multiprocessing
        """A process that loky is about to start."""
        process = self._loky.Process(*arguments, **options)
        self._started.append(process)
        return process

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # locks and queues
        return getattr(self._loky, name)


def _pool(count: int, started: list[BaseProcess]) -> Any:  # noqa: ANN401  # loky's, untyped
    try:
        # Unlike the standard library's pool, it does not need ``if __name__ == "__main__"``.
        from loky import ProcessPoolExecutor
    except ImportError as problem:
        raise MissingExtraError(
            package="loky", extra="pdf", purpose="drawing pages in other processes"
        ) from problem
    return ProcessPoolExecutor(
        max_workers=count,
        context=_Starter(started),
        initializer=_end_with,
        initargs=(os.getpid(),),
    )


def _end_with(parent_id: int) -> None:
    """End the process that calls this when its parent has ended, even if that was killed."""
    threading.Thread(target=_end_after, args=(parent_id,), daemon=True).start()


def _end_after(parent_id: int) -> None:
    while os.getppid() == parent_id:
        time.sleep(_LOOK_EVERY_S)
    os._exit(1)


def _not_started(reason: str) -> ResourceError:
    return ResourceError(
        f"processes that draw pages cannot be started ({reason}). Draw pages without them "
        f"(workers=0; sync_index: render_workers=0; vdr index: --workers 0), or raise the limits "
        f"of this machine (ulimit -n, ulimit -u)."
    )
