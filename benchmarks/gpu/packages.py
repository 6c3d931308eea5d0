"""Packages that a bare machine does not have: unpacked from an archive while the benchmark runs."""

from __future__ import annotations

import importlib
import os
import sys
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["default_archive", "unpacked"]

_ROOT = Path(__file__).resolve().parent.parent.parent

_UNPACKED = "VDR_GPU_PACKAGES"
"""Where they are, for the processes that this one starts."""


def default_archive(python: str) -> Path:
    """Where ``benchmarks.gpu_packages`` puts the archive for a version of Python; not in git."""
    return _ROOT / ".gpu" / f"packages-{python}.tar.xz"


@contextmanager
def unpacked(archive: Path | None) -> Generator[None]:
    """This repository, and what is in the archive, can be imported, in child processes too.

    Must be entered before torch is imported, which would take another numpy.

    Args:
        archive: None for the default one, or none at all where that does not exist.
    """
    if archive is None and _UNPACKED not in os.environ:
        usual = default_archive(f"{sys.version_info.major}.{sys.version_info.minor}")
        archive = usual if usual.is_file() else None
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with tempfile.TemporaryDirectory(prefix="gpu-packages-") as scratch:
        folders = [str(_ROOT / "src"), str(_ROOT)]
        if archive is not None:
            # Compiled modules are loaded from files, never from within an archive.
            with tarfile.open(archive) as file:
                file.extractall(scratch, filter="data")
            folders.insert(0, scratch)
            os.environ[_UNPACKED] = scratch
        sys.path[:0] = folders
        os.environ["PYTHONPATH"] = os.pathsep.join(
            [*folders, *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        importlib.invalidate_caches()
        yield
