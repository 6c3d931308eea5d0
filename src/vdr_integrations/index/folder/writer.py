"""Write documents to a folder: first the vectors, then one transaction that names them."""

from __future__ import annotations

import os
import tempfile
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder import disk
from vdr_integrations.index.folder.file_format import new_file_name
from vdr_integrations.index.folder.first_stage_files import codes_blob
from vdr_integrations.index.folder.first_stage_writer import FirstStageWriter
from vdr_integrations.index.folder.manifest_row import Segment
from vdr_integrations.index.folder.page_words import words_blob
from vdr_integrations.index.folder.records_json import content_json, document_of, record_json
from vdr_integrations.index.folder.transaction import Transactions
from vdr_integrations.index.folder.troubles import altered, os_trouble
from vdr_integrations.index.folder.vector_bytes import dense_bytes, token_bytes
from vdr_integrations.index.folder.vector_places import (
    PLACE,
    content_digest,
    id_key,
    ref_key,
    strong_digest,
    word_sum,
)
from vdr_integrations.index.scoring.words import count_words
from vdr_integrations.index.stored_page import page_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.index.folder.file_format import VectorKind
    from vdr_integrations.index.folder.manifest_row import Layout
    from vdr_integrations.index.folder.reader import FolderReader
    from vdr_integrations.index.folder.vector_places import Places
    from vdr_integrations.index.records import DocumentRecord, FileState
    from vdr_integrations.index.scoring.words import WordCounts
    from vdr_integrations.index.staged_document import PreparedPage

__all__ = ["FolderSink", "FolderWriter"]

_SEGMENT_BYTES = 1 << 30
"""A file of vectors that has reached this length is not continued, because ``optimize`` frees space
file by file."""
_SPOOLED_BYTES = 64 << 20
"""Bytes of an uncommitted document that wait in memory; longer documents wait on the disk."""


class FolderWriter:
    """Writes one index.

    Attributes:
        folder: The folder of the index.
        settings: What the index was made with.
        transactions: Commits, and the lock that keeps other writers out.
        first_stage: Keeps the codebook and the lists.
    """

    def __init__(self, reader: FolderReader, *, wait_s: float) -> None:
        """Write to the index that a reader reads."""
        self._reader = reader
        self.folder = reader.folder
        self.settings = reader.settings
        self.transactions = Transactions(reader.folder, reader.settings, wait_s=wait_s)
        self.first_stage = FirstStageWriter(reader, self.transactions)

    def begin(self, source: str) -> FolderSink:
        """Begin to write a document."""
        return FolderSink(self, source)

    def append(
        self, layout: Layout, kind: VectorKind, parts: Iterable[NDArray[np.uint8]]
    ) -> tuple[Layout, int, int]:
        """Append vectors to the newest file of their kind.

        Returns:
            The files after that, the number of the file that was written, and the offset of the
            first part in it.
        """
        open_ones = [
            one for one in layout.segments if one.kind == kind and one.used_bytes < _SEGMENT_BYTES
        ]
        if open_ones:
            segment = open_ones[-1]
        else:
            segment = Segment(layout.next_segment, kind, new_file_name(kind), 0)
            layout = replace(
                layout, next_segment=layout.next_segment + 1, segments=(*layout.segments, segment)
            )
        end = disk.append(self.folder, segment.name, parts, used_bytes=segment.used_bytes)
        grown = replace(segment, used_bytes=end)
        segments = tuple(grown if one.number == grown.number else one for one in layout.segments)
        return replace(layout, segments=segments), segment.number, segment.used_bytes

    def remove_document(self, source: str) -> bool:
        """Remove a document; False if it does not exist."""
        with self.transactions.begin() as step:
            found = step.take(source)
            if found is not None:
                step.forget_rows(found[1])
        return found is not None

    def update_file_state(self, source: str, file: FileState) -> None:
        """Record that a document's file was checked."""
        with self.transactions.begin() as step:
            found = step.take(source)
            if found is None:
                return
            record, places = found
            if not record:
                raise altered(self.folder, source, "its record was altered")
            document = replace(document_of(source, record), file=file)
            step.add(source, record_json(document), places)

    def remove_pages(self, page_ids: Sequence[str]) -> int:
        """Remove pages, and a document together with its last page; returns how many pages."""
        keys = {key for key in map(id_key, page_ids) if key is not None}
        removed = 0
        with self.transactions.begin() as step:
            snapshot = self._reader.snapshot()
            found = [snapshot.by_id[key] for key in keys if key in snapshot.by_id]
            for source in {snapshot.source_of(index) for index in found}:
                taken = step.take(source)
                assert taken is not None  # noqa: S101  # of the same committed state
                record, places = taken
                goes = np.array([one.tobytes() in keys for one in places["page_id"]], np.bool_)
                step.forget_rows(places[goes])
                removed += int(goes.sum())
                if not goes.all():
                    left = places[~goes]
                    document = document_of(source, record).with_pages(
                        set(left["page_number"].tolist())
                    )
                    step.add(source, record_json(document), left)
        return removed


class FolderSink:
    """The pages of a document that is not committed yet; implements ``DocumentSink``.

    Until then, its pages are in memory or in a file without a name, which end with the process.
    """

    def __init__(self, writer: FolderWriter, source: str) -> None:
        """Begin a document."""
        self._writer = writer
        self._source = source
        self._folder = writer.folder
        self._spool = tempfile.SpooledTemporaryFile(  # noqa: SIM115  # closed by commit or discard
            max_size=_SPOOLED_BYTES, dir=str(writer.folder)
        )
        weakref.finalize(self, self._spool.close)  # if neither commit nor discard is called
        self._places: list[Places] = []
        self._contents: list[str] = []
        self._words: list[WordCounts] = []
        self._bounds: list[list[tuple[int, int]]] = []

    def write(self, page: PreparedPage) -> None:
        """See ``DocumentSink``."""
        settings, record = self._writer.settings, page.record
        nothing = np.empty(0, np.uint8)
        tokens = dense = nothing
        if page.tokens is not None:
            tokens = token_bytes(page.tokens, vectors=settings.compression.vectors)
        if page.dense is not None:
            dense = dense_bytes(page.dense)
        place = np.zeros(1, PLACE)
        place["page_number"] = record.page_number
        place["tokens"] = 0 if page.tokens is None else len(page.tokens)
        place["token_sum"], place["dense_sum"] = word_sum(tokens), word_sum(dense)
        place["bias"] = page.bias
        place["page_id"] = np.void(id_key(page_id(self._source, record.page_number)) or b"")
        place["ref_key"] = ref_key(record.page_ref)
        place["vectors"] = np.void(strong_digest(tokens, dense))
        bounds: list[tuple[int, int]] = []
        try:
            for part in (tokens, dense):
                start = self._spool.seek(0, os.SEEK_END)
                self._spool.write(part.tobytes())
                bounds.append((start, start + len(part)))
        except OSError as error:
            raise os_trouble(error, self._folder) from error
        self._places.append(place)
        self._contents.append(content_json(record, grid=record.grid, metadata=page.metadata))
        self._words.append(count_words(record.text))
        self._bounds.append(bounds)

    def commit(self, document: DocumentRecord) -> None:
        """See ``DocumentSink``."""
        writer = self._writer
        order = sorted(
            range(len(self._places)), key=lambda one: int(self._places[one]["page_number"][0])
        )
        places = np.concatenate([self._places[one] for one in order])
        contents = [self._contents[one] for one in order]
        words = [self._words[one] for one in order]
        codebook, codes = writer.first_stage.codes(
            [int(one) for one in places["tokens"]], (self._part(one, 0) for one in order)
        )
        with writer.transactions.begin() as step:
            before = step.take(self._source)
            layout = step.layout
            places["row"] = layout.next_row + np.arange(len(places))
            for which, kind in enumerate(("tokens", "dense")):
                lengths = [self._bounds[one][which] for one in order]
                if not any(stop > start for start, stop in lengths):
                    continue
                parts = (self._part(one, which) for one in order)
                layout, number, start = writer.append(layout, kind, parts)
                name = "token" if kind == "tokens" else "dense"
                places[f"{name}_segment"] = number
                sizes = [stop - start for start, stop in lengths]
                places[f"{name}_offset"] = start + np.cumsum([0, *sizes[:-1]])
            rows = places["row"].tolist()
            for index, (row, content) in enumerate(zip(rows, contents, strict=True)):
                places["content"][index] = np.void(content_digest(row, content))
            step.connection.executemany(
                "INSERT INTO pages VALUES (?, ?)", zip(rows, contents, strict=True)
            )
            digests = (one.tobytes() for one in places["content"])
            blobs = map(words_blob, digests, words)
            step.connection.executemany(
                "INSERT INTO words VALUES (?, ?)", zip(rows, blobs, strict=True)
            )
            if codebook and codebook == layout.codebook:
                step.connection.executemany(
                    "INSERT INTO codes VALUES (?, ?)",
                    [(row, codes_blob(row, one)) for row, one in zip(rows, codes, strict=True)],
                )
            step.set_layout(replace(layout, next_row=layout.next_row + len(places)))
            if before is not None:
                step.forget_rows(before[1])
            step.add(self._source, record_json(document), places)
        self._spool.close()
        writer.first_stage.keep_short(step.layout)

    def discard(self) -> None:
        """See ``DocumentSink``."""
        self._spool.close()

    def _part(self, page: int, which: int) -> NDArray[np.uint8]:
        """Bytes of the token vectors (0) or the dense vector (1) of a page."""
        start, stop = self._bounds[page][which]
        try:
            self._spool.seek(start)
            return np.frombuffer(self._spool.read(stop - start), np.uint8)
        except OSError as error:
            raise os_trouble(error, self._folder) from error
