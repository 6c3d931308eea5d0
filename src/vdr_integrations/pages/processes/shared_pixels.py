"""Memory that this process and one that draws share, so that pixels are copied once."""

from __future__ import annotations

import mmap
import os
from typing import Self

__all__ = ["SharedPixels"]


class SharedPixels:
    """A piece of memory without a name: both processes hold a descriptor of it.

    Only Linux has this (``memfd_create``). Elsewhere pixels go through the pipe.

    Attributes:
        descriptor: Its descriptor, the same number in both processes.
    """

    def __init__(self, descriptor: int) -> None:
        """Use memory that the other process made."""
        self.descriptor = descriptor
        self._map: mmap.mmap | None = None

    @classmethod
    def made(cls) -> Self | None:
        """New memory, empty; None where the system has none.

        Raises:
            OSError: This machine is short of descriptors.
        """
        if not hasattr(os, "memfd_create"):
            return None
        import fcntl

        made = os.memfd_create("vdr-pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:  # above 0, 1 and 2, which are the other process's pipes, also if this one has none
            descriptor = fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, 3)
            # Whoever takes the other process over must not take memory away that is read here.
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        finally:
            os.close(made)
        return cls(descriptor)

    def view(self, size: int) -> memoryview:
        """The first ``size`` bytes. Release the view before you ask for another one.

        Raises:
            OSError: The memory is smaller; there is too little memory.
        """
        if self._map is None or len(self._map) < size:
            if self._map is not None:
                self._map.close()
            self._map = mmap.mmap(self.descriptor, size)
        return memoryview(self._map)[:size]

    def grow(self, size: int) -> None:
        """Make room for ``size`` bytes.

        Raises:
            OSError: There is too little memory.
        """
        if os.fstat(self.descriptor).st_size < size:
            os.ftruncate(self.descriptor, size)

    def close(self) -> None:
        """Let go of the memory."""
        if self._map is not None:
            self._map.close()
            self._map = None
        os.close(self.descriptor)
