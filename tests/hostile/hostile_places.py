"""Things in a folder that are no regular files, and names that are no ordinary names."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from tests.hostile.hostile_pdf_structure import sound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPARSE_BYTES = 2 * 2**30


def named_pipe(path: Path) -> None:
    """A reader waits for ever, since nobody writes."""
    os.mkfifo(path)


def listening_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.open(".", os.O_RDONLY)
        os.chdir(path.parent)  # the path of a socket has at most 108 bytes
        try:
            listener.bind(path.name)
        finally:
            os.fchdir(before)
            os.close(before)


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def link_to_pipe(path: Path) -> None:
    pipe = path.with_name(f".{path.name}.pipe")
    os.mkfifo(pipe)
    path.symlink_to(pipe.name)


def folder_with_a_document(path: Path) -> None:
    path.mkdir()
    (path / "inside.pdf").write_bytes(sound().to_bytes())


def folder_that_links_to_itself(path: Path) -> None:
    folder_with_a_document(path)
    (path / "again").symlink_to(path, target_is_directory=True)
    (path / "again.pdf").symlink_to(path, target_is_directory=True)


def sparse_file(path: Path) -> None:
    """Two gigabytes of nothing behind a header; they take no space on the disk."""
    path.write_bytes(b"%PDF-1.7\n")
    os.truncate(path, SPARSE_BYTES)


def unreadable_file(path: Path) -> None:
    path.write_bytes(sound().to_bytes())
    path.chmod(0)
