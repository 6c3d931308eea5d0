"""Find the documents that paths, folders and patterns name."""

from __future__ import annotations

import errno
import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.errors import DocumentOpenError, PageError
from vdr_integrations.pages.document_kind import document_kind
from vdr_integrations.pages.file_names import FileName, FoundFile, key_of, preferred_name
from vdr_integrations.pages.read_file import refuse_shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vdr_integrations.pages.file_names import FileKey

    OnError = Callable[[PageError], object]

__all__ = ["find_documents", "find_files", "given_paths", "is_absent", "pattern_of"]

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


def find_documents(
    paths: str | Path | Iterable[str | Path],
    *,
    on_error: Callable[[PageError], object] | None = None,
) -> list[Path]:
    """The PDF and image files that ``paths`` name.

    - A file is listed, with any suffix.
    - A folder lists the PDFs and images in it and in its subfolders, sorted. The suffix decides,
      ignoring case; a file without any suffix is listed if its first bytes are those of a PDF or
      an image. Hidden files and folders are left out, and links to files that are gone; linked
      folders are not entered.
    - Anything else is a pattern; ``**`` enters folders. Folders with which it begins, and which are
      there, mean themselves, also with brackets. A folder that matches lists its documents.
      A file that matches is listed if a folder would list it.

    A file that is found under several names is listed once, at the place of the first name. Names
    of one file are different spellings of its path, symbolic links, and hard links. It is listed
    under its first name that is no symbolic link, if it has such a name.

    Args:
        paths: One path or several.
        on_error: Called with the error of a path that names nothing, and of each folder that
            cannot be listed; everything beside it is still listed. None raises the error.

    Returns:
        Paths as they were spelled, in the order of ``paths``.

    Raises:
        DocumentOpenError: There is nothing at a path, or a folder cannot be listed.
        ResourceError: This machine cannot open more files.
    """
    found = find_files(paths, on_error=on_error)
    return [preferred_name(file.names).path for file in found]


def find_files(
    paths: str | Path | Iterable[str | Path],
    *,
    on_error: Callable[[PageError], object] | None = None,
) -> list[FoundFile]:
    """The files of :func:`find_documents`, each with all names by which it was found."""

    def report(problem: PageError) -> None:
        if on_error is None:
            raise problem
        on_error(problem)

    found: dict[FileKey, FoundFile] = {}
    for path in given_paths(paths):
        for document in _expand(Path(path), report):
            key = _key(document)
            if key is not None:
                name = FileName(document, os.path.islink(document))  # noqa: PTH114  # never raises
                found.setdefault(key, FoundFile(key, [])).names.append(name)
    return list(found.values())


def given_paths(paths: str | Path | Iterable[str | Path]) -> list[str | Path]:
    """One path or several, as a list: a text is a path, not its characters."""
    return [paths] if isinstance(paths, str | Path) else list(paths)


def pattern_of(path: Path) -> Path:
    """The glob that a path means: the folders with which it begins, if they are there, are no glob.

    In ``Reports [old]/*.pdf`` the brackets are those of a folder, if there is such a folder.
    """
    for folder in path.parents:
        if os.path.isdir(folder):  # noqa: PTH112  # never raises
            return Path(glob.escape(str(folder)), *path.parts[len(folder.parts) :])
    return path


def is_absent(problem: OSError | ValueError) -> bool:
    """Whether an error says that nothing is at a path, and not that it cannot be looked at."""
    return isinstance(problem, ValueError) or problem.errno in _ABSENT


def _key(document: Path) -> FileKey | None:
    """What a file is known by; None for a link to nothing."""
    try:
        return key_of(document, document.stat())
    except (OSError, ValueError) as problem:
        # Any other trouble is that of who reads the file, and reports it.
        return None if is_absent(problem) else os.path.abspath(document)  # noqa: PTH100


def _expand(path: Path, report: OnError) -> Iterator[Path]:
    try:
        path.stat()
    except (OSError, ValueError) as problem:
        if not is_absent(problem):
            reason = getattr(problem, "strerror", None) or type(problem).__name__
            report(DocumentOpenError(f"it cannot be looked at ({reason}).", source=_shown(path)))
            return
    else:
        yield from _walk(path, report) if path.is_dir() else [path]
        return
    matches: list[str] = []
    if glob.has_magic(str(path)):
        pattern = str(pattern_of(path))
        matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # accepts absolute patterns too
    if not matches:
        report(DocumentOpenError("there is no such file or folder.", source=_shown(path)))
    for match in map(Path, matches):
        if match.is_dir():
            yield from _walk(match, report)
        elif _is_document(match):
            yield match


def _walk(folder: Path, report: OnError) -> Iterator[Path]:
    def refuse(problem: OSError) -> None:
        name = _shown(problem.filename or folder)
        refuse_shortage(problem, source_name=name)
        reason = problem.strerror or type(problem).__name__
        report(DocumentOpenError(f"the folder cannot be listed ({reason}).", source=name))

    documents: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        documents += (Path(parent, name) for name in files)
    yield from sorted(document for document in documents if _is_document(document))


def _is_document(path: Path) -> bool:
    return not path.name.startswith(".") and document_kind(path) is not None


def _shown(path: str | Path) -> str:
    """The path as a message can show it, also if it is not UTF-8."""
    return os.fspath(path).encode(errors="backslashreplace").decode()
