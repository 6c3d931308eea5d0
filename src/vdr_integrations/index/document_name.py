"""What an index calls the document of a file, and the file name in such a name."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from vdr_integrations.pages.file_names import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DocumentNaming", "document_names", "document_path", "file_name_of", "other_name_of"]


class DocumentNaming:
    """Names the documents of files; it remembers where folders lead to, and is used for one run."""

    def __init__(self) -> None:
        """No folder is looked at yet."""
        self._folders: dict[str, Path] = {}

    def path(self, path: str | Path) -> Path:
        """See :func:`document_path`."""
        given = Path(path)
        if given.name in {"", ".."}:
            return Path(os.path.realpath(given))
        folder = os.path.dirname(given)  # noqa: PTH120  # faster, and called for each document
        found = self._folders.get(folder)
        if found is None:
            found = self._folders[folder] = Path(os.path.realpath(folder))
        return found / given.name


def document_path(path: str | Path) -> Path:
    """The absolute path that names a file's document; ``as_posix`` of it is the ``source``.

    Links in folders are followed. A link that is the file itself is one name of the file, beside
    the name of the file that it leads to; ``sync_index`` chooses one of them.
    """
    return DocumentNaming().path(path)


def document_names(path: str | Path) -> list[str]:
    """The names that the document of this path may have in an index, the likeliest first.

    Files need not exist. Other hard links of a file are not among them: see :func:`other_name_of`.
    """
    own = document_path(path)
    names = [own.as_posix()]
    if os.path.islink(own):  # noqa: PTH114  # never raises
        names.append(Path(os.path.realpath(own)).as_posix())
    return names


def file_name_of(source: str) -> str:
    """The file name of a document; of bytes without a name, the first digits of their digest.

    Args:
        source: A path, a URL, another name, or ``sha256:<digest>``.
    """
    scheme, _, digest = source.partition(":")
    if scheme == "sha256":
        return digest[:12]
    return PurePath(source).name or source


def other_name_of(path: str | Path, sources: Iterable[str]) -> str | None:
    """The first of these documents whose file is the file at ``path``; None if none is.

    It looks at the files of all documents, if the file has several hard links.
    """
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    if status.st_nlink < 2:  # a file with one name
        return None
    key = key_of(path, status)
    return next((source for source in sources if _is_file(source, key)), None)


def _is_file(source: str, key: object) -> bool:
    try:
        return os.path.isabs(source) and key_of(source, os.stat(source)) == key  # noqa: PTH116, PTH117  # for each document
    except (OSError, ValueError):
        return False
