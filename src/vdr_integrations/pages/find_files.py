"""Find the documents that paths, folders and patterns name."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.errors import DocumentOpenError, PageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["IMAGE_SUFFIXES", "PDF_SUFFIX", "find_documents"]

PDF_SUFFIX = ".pdf"
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif"},
)


def find_documents(
    paths: str | Path | Iterable[str | Path],
    *,
    on_error: Callable[[PageError], object] | None = None,
) -> list[Path]:
    """The PDF and image files that ``paths`` name.

    - A file is listed, with any suffix.
    - A folder lists the PDFs and images in it and in its subfolders, sorted. The suffix decides,
      ignoring case. Hidden files and folders are left out; linked folders are not entered.
    - Anything else is a pattern; ``**`` enters folders. A folder that matches lists its documents.
      A file that matches is listed if it is a PDF or an image by its suffix, and not hidden.

    A file that is found twice is listed once, at its first place.

    Args:
        paths: One path or several.
        on_error: Called with the error of a path that names nothing; the other paths are still
            searched. None raises the error.

    Returns:
        Paths as they were spelled, in the order of ``paths``.

    Raises:
        DocumentOpenError: There is nothing at a path, or a folder cannot be listed.
    """
    found: dict[str, Path] = {}
    for path in [paths] if isinstance(paths, str | Path) else paths:
        try:
            for document in _expand(Path(path)):
                found.setdefault(os.path.realpath(document), document)
        except DocumentOpenError as problem:
            if on_error is None:
                raise
            on_error(problem)
    return list(found.values())


def _expand(path: Path) -> Iterator[Path]:
    if os.path.exists(path):  # noqa: PTH110  # Path.exists raises on names that are too long
        yield from _walk(path) if path.is_dir() else [path]
        return
    matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207  # accepts absolute patterns too
    if not matches:
        raise DocumentOpenError("there is no such file or folder.", source=str(path))
    for match in map(Path, matches):
        if match.is_dir():
            yield from _walk(match)
        elif _is_document(match):
            yield match


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(problem: OSError) -> None:
        raise DocumentOpenError(
            f"the folder cannot be listed ({type(problem).__name__}).",
            source=str(problem.filename or folder),
        ) from problem

    documents: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        documents += (Path(parent, name) for name in files)
    yield from sorted(document for document in documents if _is_document(document))


def _is_document(path: Path) -> bool:
    suffix = path.suffix.lower()
    return not path.name.startswith(".") and (suffix == PDF_SUFFIX or suffix in IMAGE_SUFFIXES)
