"""Is the file of a known document there, gone, or perhaps only out of reach?"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from vdr_integrations.pages.file_names import key_of
from vdr_integrations.pages.find_files import is_absent

if TYPE_CHECKING:
    from vdr_integrations.pages.file_names import FileKey

__all__ = ["Presence", "Whereabouts", "WhereaboutsOfFiles"]


class Presence(Enum):
    """What is known about a file."""

    HERE = auto()
    GONE = auto()
    """It was deleted or moved: the folder above it is there and holds other files."""
    MISSING = auto()
    """It is not there, and the folder above it is empty: perhaps a disk is not mounted."""
    UNKNOWN = auto()
    """Nobody can look at it."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What was found at the path of a document.

    Attributes:
        presence: Whether the file is there.
        key: What the file is known by, if it is there.
    """

    presence: Presence
    key: FileKey | None = None


class WhereaboutsOfFiles:
    """Looks at the files of documents. It remembers folders, and is used for one run."""

    def __init__(self) -> None:
        """No folder is looked at yet."""
        self._holds_something: dict[str, bool] = {}

    def of(self, source: str) -> Whereabouts:
        """Look at the file of a document: one call of the file system, if the file is there."""
        try:
            status = os.stat(source)  # noqa: PTH116  # faster, and called for each document
            if stat.S_ISDIR(status.st_mode):  # a folder took the place of the file
                return Whereabouts(Presence.GONE)
            return Whereabouts(Presence.HERE, key_of(source, status))
        except (OSError, ValueError) as problem:
            if not is_absent(problem):
                return Whereabouts(Presence.UNKNOWN)
        # If a link leads to nothing, the folder counts to which it leads.
        folder = os.path.dirname(os.path.realpath(source))  # noqa: PTH120
        return Whereabouts(Presence.GONE if self._holds(folder) else Presence.MISSING)

    def _holds(self, folder: str) -> bool:
        """Whether this folder, or else the nearest one above it that exists, holds something."""
        found = self._holds_something.get(folder)
        if found is None:
            found = self._holds_something[folder] = self._look_into(folder)
        return found

    def _look_into(self, folder: str) -> bool:
        try:
            with os.scandir(folder) as entries:
                return any(not entry.name.startswith(".") for entry in entries)
        except (OSError, ValueError) as problem:
            above = os.path.dirname(folder)  # noqa: PTH120
            return is_absent(problem) and above != folder and self._holds(above)
