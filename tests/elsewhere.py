"""Make this process look like one on Windows or macOS, as far as Python can show it.

What the system itself does there (files in use, signals, rights) is not shown: tests on such a
system show that.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Literal

__all__ = ["Platform", "pretend"]

Platform = Literal["darwin", "win32"]

_MODULES = {"darwin": (), "win32": ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")}
_LINUX = """
    O_PATH memfd_create pidfd_open posix_fadvise posix_fallocate sched_getaffinity
    sched_setaffinity splice
"""
_POSIX = """
    O_ACCMODE O_CLOEXEC O_DIRECTORY O_NOCTTY O_NOFOLLOW O_SYNC chown chroot fchdir fchmod
    fchown fork forkpty getegid geteuid getgid getgroups getloadavg getpgid getpriority getsid
    getuid killpg lchown mkfifo mknod nice openpty pathconf posix_spawn pread preadv pwrite
    register_at_fork setegid seteuid setgid setgroups setpgid setsid setuid sysconf uname
    wait3 wait4
"""
_MISSING = {"darwin": _LINUX, "win32": _LINUX + _POSIX}
_SIGNALS = """
    ITIMER_PROF ITIMER_REAL SIGALRM SIGCHLD SIGCONT SIGHUP SIGPIPE SIGPROF SIGSTOP SIGUSR1 SIGUSR2
    SIGXCPU alarm pause pthread_kill pthread_sigmask setitimer
"""


def pretend(platform: Platform) -> None:
    """Take away what Python does not have on ``platform``, from here on.

    Import before what other packages choose by the platform when they are imported. ``os.name``
    stays as it is, and so do ``signal.SIGKILL`` and ``os.O_NONBLOCK``: the standard library and
    filelock need them on this system.
    """
    for name in _MODULES[platform]:
        sys.modules[name] = None  # pyright: ignore[reportArgumentType]  # "it does not exist"
    for name in _MISSING[platform].split():
        if hasattr(os, name):
            delattr(os, name)
    if platform == "win32":
        for name in _SIGNALS.split():
            delattr(signal, name)
    sys.platform = platform
