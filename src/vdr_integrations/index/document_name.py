"""What an index calls the document of a file."""

from __future__ import annotations

from pathlib import Path

__all__ = ["document_path"]


def document_path(path: str | Path) -> Path:
    """The absolute path that names a file's document; ``as_posix`` of it is the ``source``.

    Links in folders are followed. A link that is the file itself keeps its own name and place: two
    links to one file are two documents.
    """
    given = Path(path)
    if given.name in {"", ".."}:
        return given.resolve()
    return given.parent.resolve() / given.name
