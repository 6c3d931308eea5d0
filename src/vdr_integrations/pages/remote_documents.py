"""Documents below a URL that fsspec opens: they are listed, and fetched one by one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import DocumentOpenError, OptionError
from vdr_integrations.pages.document_kind import named_kind
from vdr_integrations.pages.file_limits import DEFAULT_RENDER_LIMITS
from vdr_integrations.pages.remote_calls import remote_calls, time_ns_of
from vdr_integrations.pages.remote_systems import opened_system
from vdr_integrations.pages.store_place import StoreUrl, store_place

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RemoteDocument", "RemoteFolder", "remote_folder"]

_WHAT = "the place of documents"


@dataclass(frozen=True, slots=True)
class RemoteDocument:
    """An object that is a document.

    Attributes:
        place: The URL below which it was found.
        source: Name of the document: its own URL.
        path: Its path in the file system of fsspec.
        size_bytes: Its size.
        modified_ns: When it was written, in nanoseconds since the epoch; 0 if nobody says so.
        listed_ns: When that was asked.
    """

    place: StoreUrl
    source: str
    path: str
    size_bytes: int
    modified_ns: int
    listed_ns: int

    @property
    def file_name(self) -> str:
        """Its name without folders."""
        return PurePosixPath(self.path).name

    def fetch(self, to: Path) -> None:
        """Copy its bytes into a file.

        Raises:
            DocumentOpenError: It is larger than a document may be; nothing is fetched.
            OSError: It cannot be fetched.
        """
        most = DEFAULT_RENDER_LIMITS.max_file_bytes
        if self.size_bytes > most:
            raise DocumentOpenError(
                f"it has {self.size_bytes:,} bytes; at most {most:,} are read.", source=self.source
            )
        with remote_calls(self.place, is_missing="it is not there any more"):
            opened_system(self.place)[0].get_file(self.path, str(to))


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """Where documents are.

    Attributes:
        place: The URL.
    """

    place: StoreUrl

    def covers(self, source: str) -> bool:
        """Whether a document is the object of this URL, or below it."""
        own = str(self.place)
        return source == own or source.startswith(f"{own}/")

    def listed(self) -> list[RemoteDocument]:
        """The PDFs and images below the URL, sorted, or its object. The suffix decides.

        Objects whose name, or whose folder's name, begins with a dot are left out.

        Raises:
            OSError: It cannot be listed, or there is nothing.
            MissingExtraError: The package for such URLs is not installed.
            OptionError: fsspec does not know such URLs.
        """
        system, root = opened_system(self.place)
        now_ns = time.time_ns()
        with remote_calls(self.place, is_missing="there is nothing"):
            found: dict[str, dict[str, Any]] = system.find(root, detail=True)
            if not found:
                system.info(root)  # FileNotFoundError where there is no such place
        documents: list[RemoteDocument] = []
        for path, facts in sorted(found.items()):
            below = path[len(root) :].strip("/") if path.startswith(root) else path
            parts = PurePosixPath(below).parts
            if parts and (
                any(part.startswith(".") for part in parts)
                or named_kind(PurePosixPath(below)) is None
            ):
                continue
            documents.append(
                RemoteDocument(
                    place=self.place,
                    source=f"{self.place}/{below}" if below else str(self.place),
                    path=path,
                    size_bytes=int(facts.get("size") or 0),
                    modified_ns=time_ns_of(facts) or 0,
                    listed_ns=now_ns,
                )
            )
        return documents


def remote_folder(given: object) -> RemoteFolder | None:
    """The place of a URL; None for a path, and for a URL of files of this machine.

    Raises:
        OptionError: A URL that cannot be used, or one that holds a key or password.
    """
    if not isinstance(given, str) or "://" not in given:
        return None
    place = store_place(given, what=_WHAT)
    if not isinstance(place, StoreUrl):
        return None
    if str(place) != place.url:
        raise OptionError(
            f"{_WHAT} {place} holds a key or password, which would go to all machines. Give it to "
            f"each of them in the environment, or in the files of fsspec, as docs/recipes.md says."
        )
    return RemoteFolder(place)
