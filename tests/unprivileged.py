"""Run a function as a user whom file permissions bind; they do not bind root."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["as_nobody", "let_nobody_in"]

T = TypeVar("T")

_NOBODY = 65534


def as_nobody(work: Callable[..., T], *arguments: object) -> T:
    """The result of ``work`` in another process, which gives up the rights of root first.

    Function, arguments and result must be picklable.
    """
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, initializer=_give_up_rights) as processes:
        return processes.submit(work, *arguments).result()


def let_nobody_in(folder: Path) -> None:
    """Let any user reach a folder, and change what is in it."""
    for one in (folder, *folder.parents):
        if one.stat().st_uid == os.getuid() and len(one.parts) > 2:
            one.chmod(one.stat().st_mode | 0o055)
    for one in (folder, *folder.rglob("*")):
        one.chmod(0o777 if one.is_dir() else 0o666)


def _give_up_rights() -> None:
    if os.getuid() == 0:
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
