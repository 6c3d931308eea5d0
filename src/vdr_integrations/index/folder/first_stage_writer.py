"""Make and tidy what the first stage reads: the codebook, and lists in few files.

Nothing here is needed for a correct answer, so an error here never undoes a commit; the next commit
tries again.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.errors import IndexFormatError, IndexStoreError, ResourceError
from vdr_integrations.index.folder import disk
from vdr_integrations.index.folder.file_format import new_file_name
from vdr_integrations.index.folder.first_stage_files import (
    Lists,
    kept_codes,
    list_bytes,
    read_codebook,
    read_lists,
)
from vdr_integrations.index.folder.manifest_row import ListFile
from vdr_integrations.index.folder.page_scores import stored_tokens
from vdr_integrations.index.folder.vector_bytes import token_matrix
from vdr_integrations.index.scoring.candidates import SMALL_INDEX_PAGES
from vdr_integrations.index.scoring.codebook_bytes import codebook_bytes
from vdr_integrations.index.scoring.first_stage import Codebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.index.folder.manifest_row import Layout
    from vdr_integrations.index.folder.reader import FolderReader
    from vdr_integrations.index.folder.snapshot import Snapshot
    from vdr_integrations.index.folder.transaction import Transactions

__all__ = ["FirstStageWriter"]

_FIRST_PAGES = SMALL_INDEX_PAGES
"""In an index of fewer pages, all pages are compared anyway."""
_SAMPLED_TOKENS = 262_144
_PAGES_AT_ONCE = 64
TAIL_PAGES = 2048
"""So many pages may be in no list file; a search compares all of them."""
_MOST_ROWS = 1 << 16
"""The pages of a list file are numbered in 16 bits."""
_MERGED_BELOW = 1.5
"""A file is merged with the next one unless it is larger by this factor. So there are few files,
and each page moves about as often as the index doubles."""


class FirstStageWriter:
    """Keeps the first stage of one index up to date."""

    def __init__(self, reader: FolderReader, transactions: Transactions) -> None:
        """Nothing is read yet."""
        self._reader = reader
        self._transactions = transactions
        self._folder = reader.folder
        self._settings = reader.settings
        self._codebook: tuple[str, Codebook | None] = ("", None)

    def codes(
        self, tokens: Sequence[int], parts: Iterable[NDArray[np.uint8]]
    ) -> tuple[str, list[NDArray[np.uint16]]]:
        """The centroids of pages that are about to be written.

        Args:
            tokens: Number of rows of each page's matrix.
            parts: Stored bytes of each page.

        Returns:
            The name of the codebook file, and the centroids of each page. If there is no codebook,
            both are empty.
        """
        settings = self._settings
        layout = self._reader.layout()
        codebook = None if settings.tokens is None else self._current(layout)
        if codebook is None or settings.tokens is None:
            return "", []
        dimension, vectors = settings.tokens.dimension, settings.compression.vectors
        matrices = (
            token_matrix(part, tokens=count, dimension=dimension, vectors=vectors)
            for count, part in zip(tokens, parts, strict=True)
        )
        return layout.codebook, list(_assigned(codebook, matrices))

    def keep_short(self, layout: Layout) -> None:
        """Make missing files and merge small ones; returns quickly if nothing is due.

        Args:
            layout: The files as they were committed last.
        """
        if self._settings.tokens is None:
            return
        end = layout.lists[-1].end_row if layout.lists else 1
        due = TAIL_PAGES if layout.codebook else _FIRST_PAGES
        if layout.next_row - end >= due:
            with suppress(IndexStoreError, ResourceError):
                self.bring_up(everything=False)

    def bring_up(self, *, everything: bool) -> None:
        """Make the codebook if the index has enough pages, and write the missing lists.

        Args:
            everything: Also make an altered codebook again, check every page of every list file,
                and drop removed pages.
        """
        with self._transactions.locked():
            snapshot = self._reader.snapshot()
            layout = snapshot.manifest.layout
            if len(snapshot) < _FIRST_PAGES:
                return
            codebook, kept = self._current(layout), snapshot.codes
            if codebook is None:
                if layout.codebook and not everything:
                    return
                codebook, layout = self._make_codebook(snapshot, layout)
                kept = dict[int, bytes]()  # stored codes belong to another codebook
            made = partial(self._made, snapshot, codebook, kept)
            held: list[_Held] = []
            for file in layout.lists:
                lists = read_lists(self._folder, file)
                if lists is not None and everything:
                    held += self._tidied(snapshot, made, _Held(file, lists))
                elif lists is not None:
                    held.append(_Held(file, lists))
                elif everything:
                    held += made(file.first_row, file.end_row)
                else:
                    held.append(_Held(file, None))
            start = layout.lists[-1].end_row if layout.lists else 0
            held += made(start, layout.next_row)
            self._commit(layout, _joined(snapshot, held, everything=everything))

    def _current(self, layout: Layout) -> Codebook | None:
        known = self._codebook
        if known[0] != layout.codebook:
            found = read_codebook(self._folder, layout) if layout.codebook else None
            known = (layout.codebook, found)
            self._codebook = known
        return known[1]

    def _make_codebook(self, snapshot: Snapshot, layout: Layout) -> tuple[Codebook, Layout]:
        count = len(snapshot)
        per_page = max(1, int(snapshot.places["tokens"].mean()))
        wanted = min(count, max(1, _SAMPLED_TOKENS // per_page))
        chosen = np.unique(np.linspace(0, count - 1, wanted).astype(np.intp))
        _, sample = self._readable(snapshot, chosen.tolist())
        made = codebook_bytes(Codebook.of(np.concatenate(list(sample))))
        name = new_file_name("codebook")
        disk.write_whole(self._folder, name, [made])
        layout = replace(
            layout,
            codebook=name,
            codebook_digest=hashlib.sha256(made).hexdigest(),
            lists=(),
        )
        self._codebook = (name, read_codebook(self._folder, layout))
        codebook = self._codebook[1]
        assert codebook is not None  # noqa: S101  # just written
        return codebook, layout

    def _readable(
        self, snapshot: Snapshot, indices: Iterable[int]
    ) -> tuple[list[int], Iterator[NDArray[np.float32]]]:
        """Pages whose vectors can be read, and an iterator of these vectors that fills the list."""
        readable: list[int] = []

        def matrices() -> Iterator[NDArray[np.float32]]:
            for index in indices:
                with suppress(IndexFormatError):
                    matrix = self._matrix(snapshot, index)
                    readable.append(index)
                    yield matrix

        return readable, matrices()

    def _matrix(self, snapshot: Snapshot, index: int) -> NDArray[np.float32]:
        return stored_tokens(snapshot, index, vectors=self._settings.compression.vectors)

    def _tidied(
        self, snapshot: Snapshot, made: Callable[[int, int], list[_Held]], held: _Held
    ) -> list[_Held]:
        """A list file as it is, or without removed pages, or made again if pages are missing."""
        assert held.lists is not None  # noqa: S101  # checked by the caller
        alive = _alive(snapshot, held.lists)
        if (alive & ~held.lists.listed).any():
            return made(held.lists.first_row, held.lists.end_row)
        return [held.without_removed(alive)] if (held.lists.listed & ~alive).any() else [held]

    def _made(
        self,
        snapshot: Snapshot,
        codebook: Codebook,
        kept: dict[int, bytes],
        first_row: int,
        end_row: int,
    ) -> list[_Held]:
        """Lists of all pages of a range of rows, from their stored codes or their vectors."""
        made: list[_Held] = []
        rows = snapshot.rows
        begin, end = np.searchsorted(rows, [first_row, end_row]).tolist()
        while begin < end:
            first = int(rows[begin])
            stop = int(np.searchsorted(rows, min(first + _MOST_ROWS, end_row)))
            codes = kept_codes(kept, rows[begin:stop].tolist())
            missing = [index for index in range(begin, stop) if int(rows[index]) not in codes]
            readable, matrices = self._readable(snapshot, missing)
            assigned = list(_assigned(codebook, matrices))
            codes.update(zip(rows[readable].tolist(), assigned, strict=True))
            lists = Lists.of(
                codes,
                first_row=first,
                end_row=int(rows[stop - 1]) + 1,
                centroids=len(codebook.centroids),
            )
            made.append(_Held(None, lists))
            begin = stop
        return made

    def _commit(self, layout: Layout, held: list[_Held]) -> None:
        files: list[ListFile] = []
        for one in held:
            if one.file is None and one.lists is not None:
                name = new_file_name("lists")
                disk.write_whole(self._folder, name, [list_bytes(one.lists)])
                pages = int(one.lists.listed.sum())
                files.append(ListFile(name, one.lists.first_row, one.lists.end_row, pages))
            elif one.file is not None:
                files.append(one.file)
        with self._transactions.begin() as step:
            step.set_layout(replace(layout, lists=tuple(files)))
            end = files[-1].end_row if files else 0
            step.connection.execute("DELETE FROM codes WHERE row < ?", (end,))
        disk.remove_leftovers(self._folder, keep=step.layout.file_names)


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """Lists that are in a file, or that will be written to one.

    Attributes:
        file: The file of the lists; None for new lists.
        lists: The lists; None for an altered file, which stays until ``optimize``.
    """

    file: ListFile | None
    lists: Lists | None

    def without_removed(self, alive: NDArray[np.bool_]) -> _Held:
        assert self.lists is not None  # noqa: S101  # checked by the caller
        kept = Lists(
            self.lists.first_row, self.lists.postings.only(alive), self.lists.listed & alive
        )
        return _Held(None, kept)


def _alive(snapshot: Snapshot, lists: Lists) -> NDArray[np.bool_]:
    """Which rows of the range are pages of the index."""
    rows = snapshot.rows
    first, last = np.searchsorted(rows, [lists.first_row, lists.end_row]).tolist()
    alive = np.zeros(lists.postings.size, np.bool_)
    alive[rows[first:last] - lists.first_row] = True
    return alive


def _joined(snapshot: Snapshot, held: list[_Held], *, everything: bool) -> list[_Held]:
    """The same lists in fewer files."""
    joined: list[_Held] = []
    for one in held:
        joined.append(one)
        while len(joined) > 1 and _is_joinable(joined[-2], joined[-1], everything=everything):
            later, earlier = joined.pop(), joined.pop()
            joined.append(_union(snapshot, earlier, later))
    return joined


def _is_joinable(earlier: _Held, later: _Held, *, everything: bool) -> bool:
    if earlier.lists is None or later.lists is None:
        return False
    if later.lists.end_row - earlier.lists.first_row > _MOST_ROWS:
        return False
    if everything:
        return True
    return earlier.lists.listed.sum() <= _MERGED_BELOW * later.lists.listed.sum()


def _union(snapshot: Snapshot, earlier: _Held, later: _Held) -> _Held:
    assert earlier.lists is not None  # noqa: S101  # checked by the caller
    assert later.lists is not None  # noqa: S101
    first, second = earlier.lists, later.lists
    offset = second.first_row - first.first_row
    postings = first.postings.with_others(second.postings, offset=offset)
    listed = np.zeros(postings.size, np.bool_)
    listed[: first.postings.size] = first.listed
    listed[offset:] = second.listed
    both = _Held(None, Lists(first.first_row, postings, listed))
    return both.without_removed(_alive(snapshot, Lists(first.first_row, postings, listed)))


def _assigned(
    codebook: Codebook, matrices: Iterable[NDArray[np.float32]]
) -> Iterator[NDArray[np.uint16]]:
    """The centroids of each page, computed for a few pages at a time."""
    left = iter(matrices)
    while batch := list(islice(left, _PAGES_AT_ONCE)):
        yield from codebook.assign(batch)
