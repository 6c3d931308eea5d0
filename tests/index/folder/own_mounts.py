"""File systems that only one process and its children see (Linux, as root)."""

from __future__ import annotations

import ctypes
import os
import subprocess

__all__ = ["mount_alone"]

_NEW_MOUNTS = 0x0002_0000
"""CLONE_NEWNS."""


def mount_alone(*commands: str) -> None:
    """Run commands of a shell that mount; only this process sees what they mount, from here on.

    As ``unshare --mount`` for a process that runs already.

    Raises:
        OSError: The system does not let this process have mounts of its own.
        subprocess.CalledProcessError: A command failed.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    for command in ("mount --make-rprivate /", *commands):
        subprocess.run(["sh", "-c", command], check=True)
