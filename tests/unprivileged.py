"""Be a user whom file permissions bind for a while; they do not bind root."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["as_nobody", "let_nobody_in"]

_NOBODY = 65534


@contextmanager
def as_nobody() -> Generator[None]:
    """Give up the rights of root for the length of the block.

    Python itself may lie where nobody else can read it: import before what the block needs.
    """
    if not hasattr(os, "geteuid"):
        pytest.skip("permissions of POSIX")
    if os.geteuid() != 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(_NOBODY)
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def let_nobody_in(*folders: Path) -> None:
    """Let any user reach folders, and change what is in them."""
    for folder in folders:
        for above in folder.parents:
            if above.stat().st_uid == os.geteuid() and above != above.parent:
                above.chmod(above.stat().st_mode | 0o011)
        for one in (folder, *folder.rglob("*")):
            one.chmod(0o777 if one.is_dir() else 0o666)
