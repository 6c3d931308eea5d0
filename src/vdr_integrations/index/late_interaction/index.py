"""A late-interaction index: many vectors a page, compared by MaxSim."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vdr_integrations.errors import IndexLockedError, OptionError
from vdr_integrations.index.late_interaction.async_twins import in_thread
from vdr_integrations.index.late_interaction.compression import Compression
from vdr_integrations.index.late_interaction.edge_process import EdgeEngine
from vdr_integrations.index.late_interaction.points import document_point
from vdr_integrations.index.late_interaction.qdrant_server import QdrantServer
from vdr_integrations.index.late_interaction.reading import PageReader
from vdr_integrations.index.late_interaction.search import committed_documents
from vdr_integrations.index.late_interaction.server import ServerEngine
from vdr_integrations.index.late_interaction.settings import Settings, read_settings
from vdr_integrations.index.late_interaction.writing import (
    StagedDocument,
    clean_up,
    forget,
    forget_pages,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.index.late_interaction.engine import Engine
    from vdr_integrations.index.late_interaction.filters import PageFilter
    from vdr_integrations.index.manifest import Manifest
    from vdr_integrations.index.records import DocumentRecord, FileState, PageRecord

__all__ = ["LateInteractionIndex"]

_BUSY_TIMEOUT_S = 30.0


class LateInteractionIndex(PageReader):
    """Pages as matrices of token vectors, in a folder or on a Qdrant server.

    In a folder (Qdrant Edge) the index belongs to one object of one process at a time, readers
    included; a server serves any number. There let one writer at a time work on a document.
    Documents are added and removed whole: whatever kills a writer, each document that was
    acknowledged is there, and of the others there is nothing. Objects may be shared between
    threads; each method has a twin for event loops, ``asearch`` for ``search``.

    Attributes:
        path: The folder, or the server and collection as text.
        manifest: The multi-vector encoder's settings.
        dense_manifest: Those of the dense encoder whose vectors lie beside; None for none.
        compression: How token vectors are stored.
        prompts: The encoder's prompts by name.
    """

    def __init__(self, path: Path | str, engine: Engine, settings: Settings) -> None:
        """Use :meth:`create` or :meth:`open`."""
        super().__init__(engine, settings)
        self.path: Path | str = path
        self.manifest = settings.manifest
        self.dense_manifest = settings.dense
        self.compression = settings.compression
        self.prompts = settings.prompts
        self._writing = threading.RLock()

    @classmethod
    def create(
        cls,
        location: str | Path | QdrantServer,
        *,
        manifest: Manifest,
        dense_manifest: Manifest | None = None,
        compression: Compression | None = None,
        prompts: Mapping[str, str] | None = None,
    ) -> Self:
        """Make an empty index and open it.

        Args:
            location: A new or empty folder, or a collection that is not there yet.
            manifest: The settings of the multi-vector encoder, see :meth:`Manifest.of`.
            dense_manifest: Those of a dense encoder, to store its vector of each page too and
                search by it first.
            compression: float16 and nothing else when left out.
            prompts: Kept to be shown.

        Raises:
            IndexFormatError: The folder holds other files.
            IndexStoreError: There is an index already.
            MissingExtraError: The engine is not installed.
        """
        settings = Settings(
            manifest=manifest,
            dense=dense_manifest,
            compression=Compression() if compression is None else compression,
            prompts=dict(prompts or {}),
        )
        first = [settings.point()]
        if isinstance(location, QdrantServer):
            path, engine = str(location), ServerEngine.create(location, settings.schema, first)
        else:
            path, engine = Path(location), EdgeEngine.create(Path(location), settings.schema, first)
        engine.use_quantization(settings.compression.quantization)
        return cls(path, engine, settings)

    @classmethod
    def open(
        cls,
        location: str | Path | QdrantServer,
        *,
        encoder: MultiVectorEncoder | None = None,
        dense_encoder: DenseEncoder | None = None,
    ) -> Self:
        """Open an index; in a folder, what a killed writer left half-written is deleted.

        Args:
            location: The folder or collection.
            encoder: Refuse the index unless this encoder made it.
            dense_encoder: Refuse the index unless this encoder made its dense vectors.

        Raises:
            IndexNotFoundError: There is no index.
            IndexLockedError: The folder is open already, here or in another process.
            IndexFormatError: Not an index, damaged, or of a newer format.
            IndexMismatchError: Made by another encoder, or with other settings.
            MissingExtraError: The engine is not installed.
        """
        is_server = isinstance(location, QdrantServer)
        engine = ServerEngine.open(location) if is_server else EdgeEngine.open(Path(location))
        try:
            settings = read_settings(engine)
            path = str(location) if is_server else Path(location)
            if encoder is not None:
                settings.manifest.check(encoder, index_path=path)
            if dense_encoder is not None:
                settings.check_dense(dense_encoder, location=engine.location)
            engine.use_quantization(settings.compression.quantization)
            if engine.is_exclusive:
                clean_up(engine)
        except BaseException:
            engine.close()
            raise
        return cls(path, engine, settings)

    def close(self) -> None:
        """Let go of the index; a second call does nothing."""
        self._engine.close()

    def __enter__(self) -> Self:
        """The index itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    @contextmanager
    def writing(self) -> Generator[None]:
        """Keep other threads from writing, over several calls; each write does so by itself too.

        Raises:
            IndexLockedError: Another thread has been writing for 30 seconds.
        """
        if not self._writing.acquire(timeout=_BUSY_TIMEOUT_S):
            raise IndexLockedError(
                f"another thread is writing to index {self.path}; wait for it to end, then try "
                f"again."
            )
        try:
            yield
        finally:
            self._writing.release()

    def stage_document(
        self, source: str, *, metadata: Mapping[str, Any] | None = None
    ) -> StagedDocument:
        """Begin a document whose pages come a few at a time; nothing is found before its commit.

        Args:
            source: Absolute POSIX path, or whatever names the document.
            metadata: JSON-able, of all its pages.
        """
        return StagedDocument(self._engine, self._settings, source, metadata=metadata)

    def add_document(
        self,
        document: DocumentRecord,
        pages: Sequence[PageRecord],
        vectors: Sequence[NDArray[np.float32]],
        *,
        dense: Sequence[NDArray[np.float32]] | NDArray[np.float32] | None = None,
        metadata: Mapping[str, Any] | None = None,
        page_metadata: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Add a document, in place of the one with the same source if there is one.

        Args:
            document: What is kept of it.
            pages: At least one; with their grids, if they are known.
            vectors: float32 (tokens, dimension) for each page, rows of length 1.
            dense: float32 (dense dimension,) for each page, in an index that holds them.
            metadata: JSON-able, of all pages.
            page_metadata: Of each page; wins where both name a key.

        Raises:
            OptionError: No pages, a page number twice, shapes or dtypes that do not fit.
            InvalidVectorError: No tokens, NaN, infinity, or a vector not of length 1.
            IndexLockedError: Another thread has been writing for 30 seconds.
        """
        for name, given in (("vectors", vectors), ("dense", dense), ("metadata", page_metadata)):
            if given is not None and len(given) != len(pages):
                raise OptionError(
                    f"{document.source}: {len(pages)} pages and {len(given)} of {name}; "
                    f"give one for each page."
                )
        with self.writing():
            staged = self.stage_document(document.source, metadata=metadata)
            try:
                for row, page in enumerate(pages):
                    staged.add(
                        page,
                        vectors[row],
                        dense=None if dense is None else dense[row],
                        metadata=None if page_metadata is None else page_metadata[row],
                    )
                staged.commit(document)
            except Exception:
                staged.discard()
                raise

    def update_file_state(self, source: str, file: FileState) -> None:
        """Note that a document's file was looked at and still has the same content.

        Raises:
            IndexLockedError: Another thread has been writing for 30 seconds.
        """
        with self.writing():
            found = committed_documents(self._engine, [source]).get(source)
            if found is not None:
                changed = replace(found, record=replace(found.record, file=file))
                self._engine.upsert([document_point(changed)])

    def remove_document(self, source: str) -> bool:
        """Remove a document with all its pages; False if there was none.

        Raises:
            IndexLockedError: Another thread has been writing for 30 seconds.
        """
        with self.writing():
            found = committed_documents(self._engine, [source]).get(source)
            if found is not None:
                forget(self._engine, found, sorted(found.pages))
            return found is not None

    def remove_pages(self, page_ids: Sequence[str]) -> int:
        """Remove pages; a document goes with its last one. Unknown ids are ignored.

        Returns:
            How many there were.
        """
        with self.writing():
            return forget_pages(self._engine, self.get(page_ids))

    def remove_where(self, filter: PageFilter) -> int:  # noqa: A002  # what searches call it too
        """Remove the pages that a filter fits, as :meth:`remove_pages` does.

        Raises:
            OptionError: No filter, see ``PageFilter``; an empty one would remove everything.
        """
        if not filter:
            raise OptionError("remove_where takes a filter, found none; remove documents by name.")
        with self.writing():
            return forget_pages(self._engine, self.get(self.page_ids(filter)))

    def clean_up(self) -> int:
        """Delete pages that a killed writer left on a server; let no other writer be at work.

        Folders are cleaned when they are opened.

        Returns:
            How many there were.
        """
        with self.writing():
            return clean_up(self._engine)

    def optimize(self) -> None:
        """Give back the space of what was removed, and build quantised copies; takes a while."""
        with self.writing():
            self._engine.optimize()

    aadd_document = in_thread(add_document)
    aremove_document = in_thread(remove_document)
    aremove_pages = in_thread(remove_pages)
    aremove_where = in_thread(remove_where)
