"""Which documents of an index the paths of a synchronisation speak of."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.index.path_pattern import fits
from vdr_integrations.pages.find_files import pattern_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vdr_integrations.index.document_name import DocumentNaming

__all__ = ["GivenPaths"]


class GivenPaths:
    """Folders, files and patterns that a caller gave, as they are when this is made.

    A path covers the document of its own name and all beneath it; a pattern covers what fits it.
    """

    def __init__(self, paths: Iterable[Path], naming: DocumentNaming) -> None:
        """Look at each path.

        Args:
            paths: The paths as they were given.
            naming: Names the documents of the run.
        """
        self._naming = naming
        self._there: set[str] = set()
        self._out_of_reach: dict[str, Path] = {}
        self._patterns: list[tuple[str, ...]] = []
        self._above: dict[str, tuple[str, ...]] = {}
        for path in paths:
            self._take(path)

    def covers(self, source: str) -> bool:
        """Whether paths and patterns that can be searched cover a document.

        If its file is not there, it was not found because it is gone.
        """
        names = self._names(source)
        if any(place in self._there for name in names for place in self._places(name)):
            return True
        return any(
            fits(Path(name).parts, pattern, beneath=True)
            for pattern in self._patterns
            for name in names
        )

    def out_of_reach(self, source: str) -> Path | None:
        """The given path that covers a document, if it does not exist or cannot be listed."""
        for name in self._names(source):
            for place in self._places(name):
                if place in self._out_of_reach:
                    return self._out_of_reach[place]
        return None

    def _take(self, path: Path) -> None:
        try:
            names = dict.fromkeys(
                [
                    self._naming.path(path).as_posix(),
                    Path(os.path.realpath(path)).as_posix(),
                    Path(os.path.abspath(path)).as_posix(),  # noqa: PTH100  # links are not followed
                ]
            )
        except (OSError, ValueError, RuntimeError):  # not a path
            return
        if _is_searchable(path):
            self._there.update(names)
            return
        self._out_of_reach.update(dict.fromkeys(names, path))
        if glob.has_magic(str(path)):
            pattern = pattern_of(path)
            self._patterns.append(_absolute_pattern(path))
            # Documents of linked folders are named by where the links lead to.
            for folder in glob.glob(str(pattern.parent), recursive=True):  # noqa: PTH207
                real = os.path.realpath(folder)
                if real != os.path.abspath(folder):  # noqa: PTH100
                    self._patterns.append((*_literal(Path(real)), path.name))

    def _names(self, source: str) -> list[str]:
        """The name of a document, and the name that its path would have now."""
        return list(dict.fromkeys([source, self._naming.path(source).as_posix()]))

    def _places(self, name: str) -> tuple[str, ...]:
        """A name and all folders above it."""
        folder, _, _ = name.rpartition("/")
        above = self._above.get(folder)
        if above is None:
            above = tuple(one.as_posix() for one in Path(name).parents)
            self._above[folder] = above
        return (name, *above)


def _is_searchable(path: Path) -> bool:
    try:
        if path.is_dir():
            os.scandir(path).close()
        return path.exists()
    except (OSError, ValueError):
        return False


def _absolute_pattern(path: Path) -> tuple[str, ...]:
    """The parts of an absolute pattern; links of the folder that it begins with are followed."""
    parts = path.parts
    plain = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    there = next((len(folder.parts) for folder in path.parents if folder.is_dir()), 0)
    plain = max(plain, there)
    return (*_literal(Path(*parts[:plain]).resolve()), *parts[plain:])


def _literal(path: Path) -> tuple[str, ...]:
    """The parts of a path as parts of a pattern that fits only this path."""
    return tuple(map(glob.escape, path.parts))
