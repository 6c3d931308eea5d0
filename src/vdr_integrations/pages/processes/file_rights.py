"""Forbid a process to write files, and to look into other processes. Linux 5.13 and newer.

Rules of Landlock (linux/landlock.h; its manual page, landlock(7)): what is listed as handled is
forbidden, unless a rule allows it beneath a folder.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

__all__ = ["forbid_writing"]

_CREATE_RULES, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System calls, with the same numbers on all machines."""
_GIVE_VERSION = 1
_PATH_BENEATH = 1
_READ_FILE = 0x4
_WRITE = 0x1FF2
"""Write to files, and make or remove anything. Reading of folders and execution stay as they are:
libraries are loaded later."""
_SINCE_VERSION = {2: 0x2000, 3: 0x4000}
"""Move to another folder; truncate."""
_SCOPED_SINCE = 6
_SCOPED = 3
"""Abstract sockets and signals of other processes."""
_PR_SET_NO_NEW_PRIVS = 38


def forbid_writing() -> bool:
    """Forbid this process to write, make, rename and remove files, and to read /proc of others.

    Returns:
        Whether the system allows to forbid it.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULES, None, ctypes.c_size_t(0), _GIVE_VERSION)
    if version < 1:
        return False
    handled = _READ_FILE | _WRITE
    handled |= sum(bit for since, bit in _SINCE_VERSION.items() if version >= since)
    is_scoped = version >= _SCOPED_SINCE
    attributes = struct.pack("=QQQ", handled, 0, _SCOPED)[: 24 if is_scoped else 8]
    rules = libc.syscall(_CREATE_RULES, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        return False
    try:
        # All but what others have in /proc: their environment holds keys.
        for name in os.listdir(os.sep):  # noqa: PTH208  # names, not paths
            if name != "proc":
                _allow_reading(libc, rules, os.sep + name)
        _allow_reading(libc, rules, "/proc/self")
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        return libc.syscall(_RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def _allow_reading(libc: ctypes.CDLL, rules: int, path: str) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", _READ_FILE, beneath), 0)
    os.close(beneath)
