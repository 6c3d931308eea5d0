"""The row of the manifest table: settings, files, and the sum of all documents. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Self

from vdr_integrations.errors import IndexMismatchError
from vdr_integrations.index.folder.troubles import damaged
from vdr_integrations.index.folder.vector_places import STATE_BYTES, state_sum, to_json
from vdr_integrations.index.index_settings import Settings

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from vdr_integrations.index.folder.file_format import VectorKind

__all__ = ["Layout", "ListFile", "ManifestRow", "Segment", "refuse_other_settings"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of vectors. It grows at its end; committed bytes never change.

    Attributes:
        number: Number by which the places of pages name the file.
        kind: Kind of vectors: ``"tokens"`` or ``"dense"``.
        name: Name of the file.
        used_bytes: Number of committed bytes; a killed writer may have left more.
    """

    number: int
    kind: VectorKind
    name: str
    used_bytes: int


@dataclass(frozen=True, slots=True)
class ListFile:
    """A file of the first stage's lists, for the pages of a range of rows.

    Attributes:
        name: Name of the file.
        first_row: First row of the range.
        end_row: First row behind the range.
        pages: Number of pages in the lists when they were made.
    """

    name: str
    first_row: int
    end_row: int
    pages: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of an index beside the database.

    Attributes:
        next_segment: Number of the next file of vectors.
        next_row: Number of the next page.
        removed_from: Generation after which the ``removed`` table lists all removed documents.
        codebook: Name of the codebook file; empty before there is one.
        codebook_digest: SHA-256 of that file.
        segments: Files of vectors.
        lists: Files of the first stage's lists, sorted by rows.
    """

    next_segment: int = 1
    next_row: int = 1
    removed_from: int = 0
    codebook: str = ""
    codebook_digest: str = ""
    segments: tuple[Segment, ...] = ()
    lists: tuple[ListFile, ...] = ()

    @property
    def file_names(self) -> set[str]:
        """Names of all files beside the database that belong to the index."""
        names = {segment.name for segment in self.segments} | {one.name for one in self.lists}
        return names | ({self.codebook} if self.codebook else set())

    @classmethod
    def of_json(cls, text: str) -> Self:
        """The layout that was stored.

        Raises:
            KeyError: A part is missing.
            TypeError: A part is unknown, or has another type.
            ValueError: The text is not JSON.
        """
        found = json.loads(text)
        segments = tuple(Segment(**one) for one in found.pop("segments"))
        lists = tuple(ListFile(**one) for one in found.pop("lists"))
        return cls(**found, segments=segments, lists=lists)


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """The content of the manifest table.

    Attributes:
        index_id: Random id of the index; a deleted and newly made index has another one.
        generation: Number of the commit; each commit increases it.
        settings: Settings of the index.
        layout: Files of the index.
        documents: Number of documents.
        state: Sum of the digests of all documents.
    """

    index_id: str
    generation: int
    settings: Settings
    layout: Layout = field(default_factory=Layout)
    documents: int = 0
    state: bytes = bytes(STATE_BYTES)

    def columns(self) -> tuple[object, ...]:
        """The values of the row, without the ``id`` column."""
        values = (
            self.index_id,
            self.generation,
            to_json(self.settings.to_json()),
            to_json(asdict(self.layout)),
            self.documents,
            self.state,
        )
        return (*values, _digest(values))

    def after(
        self, *, layout: Layout, added: Sequence[bytes] = (), gone: Sequence[bytes] = ()
    ) -> ManifestRow:
        """The row of the next generation.

        Args:
            layout: The files.
            added: Digests of added documents.
            gone: Digests of removed documents.
        """
        return replace(
            self,
            generation=self.generation + 1,
            layout=layout,
            documents=self.documents + len(added) - len(gone),
            state=state_sum(self.state, added=added, gone=gone),
        )

    @classmethod
    def read(cls, connection: sqlite3.Connection, folder: Path) -> Self:
        """Read the row in the caller's transaction.

        Raises:
            IndexFormatError: The row is not what was written.
        """
        found = connection.execute(
            "SELECT index_id, generation, settings, layout, documents, state, digest FROM manifest"
        ).fetchall()
        if len(found) != 1 or _digest(found[0][:-1]) != found[0][-1]:
            raise damaged(folder, "its manifest was altered")
        index_id, generation, settings, layout, documents, state, _ = found[0]
        try:
            return cls(
                index_id,
                generation,
                Settings.of_json(json.loads(settings)),
                Layout.of_json(layout),
                documents,
                state,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(folder, f"its manifest cannot be read: {error}") from error

    def write(self, connection: sqlite3.Connection) -> None:
        """Replace the row in the database by this one."""
        connection.execute(
            "UPDATE manifest SET index_id = ?, generation = ?, settings = ?, layout = ?, "
            "documents = ?, state = ?, digest = ?",
            self.columns(),
        )


def refuse_other_settings(folder: Path, manifest: ManifestRow, settings: Settings) -> None:
    """Refuse an index that was deleted and made again with other settings.

    Raises:
        IndexMismatchError: The settings are others.
    """
    if manifest.settings != settings:
        raise IndexMismatchError(
            f"index {folder} was deleted and made again with other settings since it was opened; "
            f"open it again."
        )


def _digest(values: Sequence[object]) -> bytes:
    return hashlib.blake2b(repr(tuple(values)).encode(), digest_size=STATE_BYTES).digest()
