"""Calls of SQLite to the operating system, so that tests can refuse them.

The library that Python's sqlite3 uses lets everyone replace its system calls (``xSetSystemCall``);
``fsync`` is not among them, so the method of open files that calls it is replaced instead.
"""

from __future__ import annotations

import _sqlite3
import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["little_memory", "refusable_sqlite"]

_IOERR_FSYNC = 10 | (4 << 8)
_SQLITE = ctypes.CDLL(_sqlite3.__file__, use_errno=True)
_POINTER = ctypes.c_void_p
_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_int, use_errno=True)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, _POINTER, ctypes.c_size_t, use_errno=True)
_PWRITE = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, _POINTER, ctypes.c_size_t, ctypes.c_int64, use_errno=True
)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int64, use_errno=True)
_UNLINK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, use_errno=True)
_VFS_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int, _POINTER, _POINTER, _POINTER, ctypes.c_int, _POINTER, use_errno=True
)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int, use_errno=True)

# Kinds of calls, by their names in SQLite.
_CALLS: dict[str, tuple[str, Any]] = {
    "open": ("open", _OPEN),
    "write": ("write", _WRITE),
    "pwrite": ("write", _PWRITE),
    "pwrite64": ("write", _PWRITE),
    "ftruncate": ("ftruncate", _TRUNCATE),
    "unlink": ("unlink", _UNLINK),
}
_SYNC_METHOD = 5  # of sqlite3_io_methods: version, close, read, write, truncate, sync
_METHODS = 19


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("most_path", ctypes.c_int),
        ("next", _POINTER),
        ("name", ctypes.c_char_p),
        ("app_data", _POINTER),
        ("open", _POINTER),
        ("others", _POINTER * 12),
        ("set_call", ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_char_p, _POINTER)),
        ("get_call", ctypes.CFUNCTYPE(_POINTER, _POINTER, ctypes.c_char_p)),
    )


_kept: list[object] = []
"""Files that are still open may call what was put there."""


@contextmanager
def refusable_sqlite(number_of: Callable[[str], int]) -> Generator[None]:
    """Call ``number_of`` before each call of SQLite that changes files.

    Args:
        number_of: Given ``"open"``, ``"write"``, ``"fsync"``, ``"ftruncate"`` or ``"unlink"``, an
            error number, or 0 to let the call be made.
    """
    _SQLITE.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    vfs: Any = _SQLITE.sqlite3_vfs_find(None)
    own_open = vfs.contents.open
    try:
        for name, (kind, shape) in _CALLS.items():
            original = vfs.contents.get_call(vfs, name.encode())
            if original:
                made = _refusable(shape, shape(original), kind, number_of)
                _kept.append(made)
                vfs.contents.set_call(vfs, name.encode(), ctypes.cast(made, _POINTER))
        opening = _opening(_VFS_OPEN(own_open), number_of)
        _kept.append(opening)
        vfs.contents.open = ctypes.cast(opening, _POINTER)
        yield
    finally:
        vfs.contents.open = own_open
        vfs.contents.set_call(vfs, None, None)


@contextmanager
def little_memory(more_bytes: int) -> Generator[None]:
    """Limit the memory that SQLite may allocate in addition to what it has now."""
    _SQLITE.sqlite3_memory_used.restype = ctypes.c_int64
    _SQLITE.sqlite3_hard_heap_limit64.argtypes = [ctypes.c_int64]
    _SQLITE.sqlite3_hard_heap_limit64(_SQLITE.sqlite3_memory_used() + more_bytes)
    try:
        yield
    finally:
        _SQLITE.sqlite3_hard_heap_limit64(0)


def _refusable(shape: Any, original: Any, kind: str, number_of: Callable[[str], int]) -> Any:
    def call(*arguments: Any) -> int:
        # To open a file for reading changes nothing, but is refused too.
        number = number_of(kind)
        if number:
            ctypes.set_errno(number)
            return -1
        return original(*arguments)

    return shape(call)


def _opening(original: Any, number_of: Callable[[str], int]) -> Any:
    patched: dict[int, Any] = {}

    def opened(vfs: int, name: int, file: int, flags: int, out_flags: int) -> int:
        found: int = original(vfs, name, file, flags, out_flags)
        methods = ctypes.cast(file, ctypes.POINTER(_POINTER))
        if found == 0 and methods[0]:
            if methods[0] not in patched:
                patched[methods[0]] = _with_sync(methods[0], number_of)
            methods[0] = ctypes.addressof(patched[methods[0]])
        return found

    return _VFS_OPEN(opened)


def _with_sync(methods: int, number_of: Callable[[str], int]) -> Any:
    table = (_POINTER * _METHODS).from_buffer_copy(
        ctypes.string_at(methods, ctypes.sizeof(_POINTER) * _METHODS)
    )
    original = _SYNC(table[_SYNC_METHOD] or 0)

    def sync(file: int, flags: int) -> int:
        return _IOERR_FSYNC if number_of("fsync") else original(file, flags)

    made = _SYNC(sync)
    table[_SYNC_METHOD] = ctypes.cast(made, _POINTER).value
    _kept.extend([made, table])
    return table
