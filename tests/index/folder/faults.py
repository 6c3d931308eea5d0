"""Refuse one call to the operating system, or one call and all later ones of its kind."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.index.folder.sqlite_calls import refusable_sqlite

from vdr_integrations.index.folder import disk

if TYPE_CHECKING:
    from collections.abc import Generator

    import pytest

__all__ = ["Faults"]

ERRORS = {
    "open": (errno.ENOSPC, errno.EMFILE, errno.EIO, errno.ENOMEM),
    "write": (errno.ENOSPC, errno.EIO),
    "fsync": (errno.EIO, errno.ENOSPC),
    "ftruncate": (errno.EIO, errno.ENOSPC),
    "unlink": (errno.EIO,),
    "map": (errno.ENOMEM, errno.EMFILE),
}


class Faults:
    """Counts calls while :meth:`counted` runs, and refuses the requested one.

    Attributes:
        calls: The kind of each call, in order; calls of SQLite begin with "sqlite".
        refused: Kind and error number of each refused call.
        refused_of_sqlite: Whether SQLite made the first refused call.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.refused: list[tuple[str, int]] = []
        self.refused_of_sqlite = False
        self._at = -1
        self._lasts = False
        self._choice = 0
        self._patch = patch

    @contextmanager
    def counted(self, *, at: int = -1, lasts: bool = False, choice: int = 0) -> Generator[Faults]:
        """Count calls.

        Args:
            at: Number of the call to refuse; a negative number refuses none.
            lasts: Also refuse all later calls of that kind.
            choice: Number of the error among those that such a call may have.
        """
        self.calls, self.refused = [], []
        self._at, self._lasts, self._choice = at, lasts, choice
        with self._patch.context() as patch:
            patch.setattr(disk, "os", _RefusableOs(self))
            patch.setattr(np, "memmap", self._mapped(np.memmap))
            patch.setattr(Path, "unlink", self._unlinked(Path.unlink))
            with refusable_sqlite(lambda kind: self._ask(f"sqlite {kind}")):
                yield self

    def raise_due(self, kind: str) -> None:
        """Raise the error of the operating system if this call is the one to refuse."""
        number = self._ask(kind)
        if number:
            raise OSError(number, os.strerror(number))

    def _ask(self, name: str) -> int:
        number = len(self.calls)
        self.calls.append(name)
        kind = name.removeprefix("sqlite ")
        is_due = number == self._at or (
            self._lasts and bool(self.refused) and kind == self.refused[0][0]
        )
        if not is_due:
            return 0
        errors = ERRORS[kind]
        error = errors[self._choice % len(errors)]
        if not self.refused:
            self.refused_of_sqlite = name != kind
        self.refused.append((kind, error))
        return error

    def _mapped(self, original: Any) -> Any:
        def mapped(*arguments: Any, **options: Any) -> Any:
            self.raise_due("map")
            return original(*arguments, **options)

        return mapped

    def _unlinked(self, original: Any) -> Any:
        def unlinked(path: Path, **options: Any) -> None:
            self.raise_due("unlink")
            original(path, **options)

        return unlinked


class _RefusableOs:
    """``os`` as ``disk`` uses it."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        original = getattr(os, name)
        if name not in {"open", "write", "fsync", "ftruncate"}:
            return original

        def refusable(*arguments: Any) -> Any:
            self._faults.raise_due(name)
            return original(*arguments)

        return refusable
