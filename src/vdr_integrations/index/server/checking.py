"""Check that all data of an index is as it was written; this reads every page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import IndexFormatError
from vdr_integrations.index.server.collection import CODES, Point
from vdr_integrations.index.server.points import codes_digest, vectors_digest
from vdr_integrations.index.server.words_payload import stored_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdr_integrations.index.server.codebook_points import FirstStage
    from vdr_integrations.index.server.opened import OpenIndex
    from vdr_integrations.index.server.reader import ServerReader

__all__ = ["check_document", "check_files"]

_SLOWER = "searches are correct, but slower; optimize makes it again."


def check_files(index: OpenIndex, first_stage: FirstStage) -> Iterator[str]:
    """Problems that are not part of one page, one sentence each.

    Raises:
        IndexFormatError: The settings were altered.
        IndexStoreError: The server cannot be used.
    """
    index.refresh()
    try:
        index.question_bank()
    except IndexFormatError:
        yield (
            "the question bank was altered: searches are correct, but nothing can be added; index "
            "into a new collection."
        )
    for source in index.all_documents()[1]:
        yield f"{source}: its record was altered; remove it and index it again."
    if index.settings.tokens is not None and first_stage.is_altered():
        yield f"the centroids of the first stage were altered; {_SLOWER}"


def check_document(index: OpenIndex, reader: ServerReader, source: str) -> tuple[int, list[str]]:
    """How many pages of a document are intact, and the problems of the others.

    Raises:
        IndexStoreError: The server cannot be used.
    """
    try:
        document = index.documents([source]).get(source)
    except IndexFormatError:
        return 0, []  # reported by check_files
    if document is None:
        return 0, []  # removed meanwhile
    names = reader.vector_names()
    if index.settings.tokens is not None:
        names.append(CODES)
    expected = document.point_ids()
    points = {
        point.id: _problem(index, point)
        for point in index.collection.retrieve(list(expected.values()), vectors=names)
    }
    wrong: list[str] = []
    for number, point_id in expected.items():
        problem = points.get(point_id, "its record is gone.")
        if problem is not None:
            wrong.append(f"{source} page {number}: {problem}")
    return len(expected) - len(wrong), wrong


def _problem(index: OpenIndex, point: Point) -> str | None:
    """The problem of a page, or None."""
    try:
        kept = index.page(point)
    except IndexFormatError:
        return "its record was altered."
    if vectors_digest(point.vectors) != kept.vectors:
        return "its vectors were altered."
    listed = point.payload.get("listed")
    if listed and (
        point.codes is None
        or codes_digest(point.id, str(listed), point.codes) != point.payload.get("codes")
    ):
        return f"its centroids were altered; {_SLOWER}"
    if stored_words(point) is None:
        return (
            "its words were altered; text searches are correct, but begin later; index it again "
            "to count them again."
        )
    return None
