"""Check that all data of an index is as it was written; this reads every byte."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.errors import IndexFormatError
from vdr_integrations.index.folder.database import reading
from vdr_integrations.index.folder.first_stage_files import (
    codes_of_blob,
    read_codebook,
    read_lists,
)
from vdr_integrations.index.folder.page_words import unsound_words
from vdr_integrations.index.folder.vector_bytes import dense_stride, token_length
from vdr_integrations.index.folder.vector_places import content_digest, strong_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdr_integrations.index.folder.reader import FolderReader
    from vdr_integrations.index.folder.snapshot import Snapshot

__all__ = ["check_document", "check_files"]


def check_files(reader: FolderReader) -> Iterator[str]:
    """Problems of the database and of the files of the first stage, one sentence each.

    Raises:
        IndexFormatError: The damage is so large that documents cannot be listed.
    """
    with reading(reader.folder) as connection:
        findings = connection.execute("PRAGMA integrity_check(10)").fetchall()
    yield from (f"the database is damaged: {one}." for (one,) in findings if one != "ok")
    snapshot = reader.snapshot()
    try:
        reader.question_bank()
    except IndexFormatError:
        yield (
            "the question bank was altered: searches are correct, but nothing can be added; index "
            "into a new folder."
        )
    yield from _vector_problems(snapshot)
    yield from _first_stage_problems(snapshot)
    yield from _word_problems(snapshot)


def _vector_problems(snapshot: Snapshot) -> Iterator[str]:
    for document in snapshot.altered:
        yield f"{document.source}: its record was altered; remove it and index it again."
    for segment in snapshot.manifest.layout.segments:
        held = len(snapshot.segments[segment.number])
        if held < segment.used_bytes:
            yield f"{segment.name}: the file has {held} of {segment.used_bytes} bytes."


def _first_stage_problems(snapshot: Snapshot) -> Iterator[str]:
    layout, folder = snapshot.manifest.layout, snapshot.folder
    slower = "searches are correct, but slower. vdr optimize makes it again."
    if layout.codebook and read_codebook(folder, layout) is None:
        yield f"{layout.codebook}: the centroids of the first stage were altered; {slower}"
    for file in layout.lists:
        if read_lists(folder, file) is None:
            yield f"{file.name}: a list of the first stage was altered; {slower}"
    for row, blob in snapshot.codes.items():
        if codes_of_blob(row, blob) is None:
            yield f"the centroids of page row {row} were altered; {slower}"


def _word_problems(snapshot: Snapshot) -> Iterator[str]:
    for index in unsound_words(snapshot, partial(reading, snapshot.folder)):
        yield (
            f"the words of {snapshot.where(index)} were altered; text searches are correct, but "
            f"begin later. vdr optimize counts them again."
        )


def check_document(reader: FolderReader, source: str) -> tuple[int, list[str]]:
    """How many pages of a document are intact, and the problems of the others."""
    snapshot = reader.snapshot()
    number = snapshot.sources.get(source)
    if number is None or snapshot.documents[number].is_altered:
        return 0, []  # removed meanwhile, or reported by check_files
    right, wrong = 0, list[str]()
    with reading(reader.folder) as connection:
        for index in np.flatnonzero(snapshot.document_ids == number).tolist():
            row = int(snapshot.places["row"][index])
            found = connection.execute("SELECT content FROM pages WHERE row = ?", (row,)).fetchone()
            problems = _page_problems(snapshot, index, None if found is None else found[0])
            wrong += [f"{snapshot.where(index)}: {problem}" for problem in problems]
            right += not problems
    return right, wrong


def _page_problems(snapshot: Snapshot, index: int, content: object) -> list[str]:
    place = snapshot.places[index]
    problems: list[str] = []
    if not isinstance(content, str):
        problems.append("its record is gone.")
    elif content_digest(int(place["row"]), content) != place["content"].tobytes():
        problems.append("its record was altered.")
    settings = snapshot.manifest.settings
    tokens = dense = np.empty(0, np.uint8)
    if settings.tokens is not None:
        length = token_length(
            int(place["tokens"]),
            dimension=settings.tokens.dimension,
            vectors=settings.compression.vectors,
        )
        tokens = snapshot.stored_bytes(index, "token", length)
    if settings.dense is not None:
        dense = snapshot.stored_bytes(index, "dense", dense_stride(settings.dense.dimension))
    if tokens is None or dense is None:
        problems.append("its vectors are gone.")
    elif strong_digest(tokens, dense) != place["vectors"].tobytes():
        problems.append("its vectors were altered.")
    return problems
