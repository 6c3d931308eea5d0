"""Servers of tests, in this process or in one of their own."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from tests.patience import HANG_S

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp
    from tests.prepared.fresh_python import FreshPython
    from tests.prepared.python import PreparedPython

__all__ = ["free_port", "serving", "serving_process"]


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@contextmanager
def serving(app: ASGIApp, *, port: int = 0) -> Generator[str]:
    """The address of a server in a thread of this process."""
    listening = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(
        uvicorn.Config(
            app, ws="none", log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(
        target=asyncio.run, args=(server.serve(sockets=[listening]),), daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(HANG_S)
        listening.close()
        assert not thread.is_alive()


@contextmanager
def serving_process(
    python: PreparedPython | FreshPython, *options: str
) -> Generator[tuple[Any, str]]:
    """A process of ``vdr serve``, and its address."""
    started = python.start(
        "-m",
        "vdr_integrations",
        "serve",
        *options,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with started as process:
        said = ""
        assert process.stderr is not None
        try:
            for line in process.stderr:
                said += line
                found = re.search(r" at (http://\S+)", line)
                if found:
                    yield process, found[1]
                    break
            else:
                raise AssertionError(f"vdr serve {options} ended: {said}")
        finally:
            process.kill()
