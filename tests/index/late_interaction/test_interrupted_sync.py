"""A run that is interrupted within a document goes on there; the index is that of one run."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from platformdirs import user_cache_path
from tests.index.documents import write_pdf
from tests.tiny_checkpoint import write_tiny_checkpoint
from tests.tiny_colqwen2 import write_base

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PairedEncoder
from vdr_integrations.index import (
    Compression,
    DenseIndex,
    LateInteractionIndex,
    Manifest,
    QdrantServer,
    SyncProgress,
    SyncReport,
    UnfinishedPages,
    sync_index,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.index.late_interaction.conftest import Location

    from vdr_integrations.index.page_index import PageIndex

PAGES = 7
KINDS: dict[str, tuple[Compression | None, bool]] = {
    "dense": (None, False),
    "late": (Compression(), False),
    "int8": (Compression(vectors="int8"), False),
    "pooled": (Compression(vectors="float32", token_pooling=3), False),
    "recall": (Compression(vectors="int8", token_pooling=2), True),
}


@dataclass(frozen=True)
class Shelf:
    """Makes indexes of one kind, one beside the other."""

    kind: str
    location: Location
    dense: DenseEncoder
    late: MultiVectorEncoder

    @property
    def encoder(self) -> Any:
        if self.kind == "dense":
            return self.dense
        if self.kind == "recall":
            return PairedEncoder(dense=self.dense, multi_vector=self.late)
        return self.late

    def make(self, name: str) -> PageIndex:
        compression, recall = KINDS[self.kind]
        place = (
            QdrantServer(name, client=self.location.client)
            if isinstance(self.location, QdrantServer)
            else self.location / name
        )
        if compression is None:
            assert isinstance(place, Path)
            return DenseIndex.create(place, encoder=self.dense)
        return LateInteractionIndex.create(
            place,
            encoder=self.late,
            dense_manifest=Manifest.of(self.dense) if recall else None,
            compression=compression,
        )


@pytest.fixture(scope="module")
def encoders(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[DenseEncoder, MultiVectorEncoder]:
    root = tmp_path_factory.mktemp("models")
    write_tiny_checkpoint(root / "vdr-2b-multi-v1")
    write_base(root / "colqwen2-base")
    return (
        DenseEncoder.load(str(root / "vdr-2b-multi-v1"), device="cpu", max_visual_tokens=16),
        MultiVectorEncoder.load(str(root / "colqwen2-base"), device="cpu", max_visual_tokens=16),
    )


@pytest.fixture(params=KINDS)
def shelf(
    request: pytest.FixtureRequest,
    location: Location,
    encoders: tuple[DenseEncoder, MultiVectorEncoder],
) -> Shelf:
    if request.param == "dense" and isinstance(location, QdrantServer):
        pytest.skip("an index of one vector a page is in a folder")
    return Shelf(request.param, location, *encoders)


@pytest.fixture
def indexes(shelf: Shelf) -> Iterator[tuple[PageIndex, PageIndex]]:
    with ExitStack() as stack:
        yield stack.enter_context(shelf.make("halves")), stack.enter_context(shelf.make("whole"))


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    write_pdf(tmp_path / "docs" / "a.pdf", [f"apples {n}" for n in range(PAGES)])
    write_pdf(tmp_path / "docs" / "b.pdf", ["boats"])
    return tmp_path / "docs"


def interrupted(index: PageIndex, encoder: Any, paths: list[Path], *, after: int) -> SyncProgress:
    """Interrupt a run as Ctrl-C does, when so many pages are encoded; returns the last state."""
    seen: list[SyncProgress] = []

    def stop(state: SyncProgress) -> None:
        seen.append(state)
        if state.pages_encoded == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync_index(index, encoder, paths, batch_pages=1, on_progress=stop)
    return seen[-1]


def contents(index: PageIndex) -> list[object]:
    """Everything that can be read of an index, with its vectors to the last bit."""
    pages = [
        (
            replace(page, vectors=None, dense=None),
            None if page.vectors is None else page.vectors.tobytes(),
            None if page.dense is None else page.dense.tobytes(),
        )
        for page in index.get(index.page_ids(), with_vectors=True)
    ]
    documents = [replace(one, file=replace(one.file, checked_ns=0)) for one in index.documents()]
    return [[repr(page) for page in pages], documents]


def lists(report: SyncReport) -> tuple[object, ...]:
    return (report.added, report.changed, report.removed, report.failed, report.warnings)


def test_two_halves_are_bit_for_bit_what_one_run_makes(
    shelf: Shelf, indexes: tuple[PageIndex, PageIndex], docs: Path
) -> None:
    halves, whole = indexes
    at_once = sync_index(whole, shelf.encoder, [docs])
    interrupted(halves, shelf.encoder, [docs], after=3)
    assert halves.documents() == []
    assert halves.unfinished.kept() == UnfinishedPages(1, 3)
    again = interrupted(halves, shelf.encoder, [docs], after=2)
    assert (again.pages_done, again.pages_total) == (5, PAGES + PAGES)
    assert halves.unfinished.kept(read_all=True) == UnfinishedPages(1, 5)
    report = sync_index(halves, shelf.encoder, [docs])
    assert (report.pages_kept, report.pages_encoded) == (5, 3)
    assert report.pages_kept + report.pages_encoded == at_once.pages_encoded == PAGES + 1
    assert lists(report) == lists(at_once)
    assert contents(halves) == contents(whole)
    query = shelf.encoder if shelf.kind == "dense" else shelf.late
    (asked,) = query.encode_queries(["apples"])
    assert [one.score for one in halves.search(asked, k=9)] == [
        one.score for one in whole.search(asked, k=9)
    ]
    assert halves.unfinished.kept() == UnfinishedPages(0, 0)
    assert halves.clean_up() == 0


def test_pages_of_a_file_that_has_changed_are_not_used(
    shelf: Shelf, indexes: tuple[PageIndex, PageIndex], docs: Path
) -> None:
    halves, whole = indexes
    interrupted(halves, shelf.encoder, [docs], after=3)
    write_pdf(docs / "a.pdf", [f"pears {n}" for n in range(PAGES)])
    report = sync_index(halves, shelf.encoder, [docs])
    assert (report.pages_kept, report.pages_encoded) == (0, PAGES + 1)
    sync_index(whole, shelf.encoder, [docs])
    assert contents(halves) == contents(whole)
    assert halves.unfinished.kept() == UnfinishedPages(0, 0)


def test_a_file_that_was_moved_goes_on_under_its_new_name(
    shelf: Shelf, indexes: tuple[PageIndex, PageIndex], docs: Path
) -> None:
    halves, whole = indexes
    interrupted(halves, shelf.encoder, [docs], after=3)
    (docs / "a.pdf").rename(docs / "z.pdf")
    interrupted(halves, shelf.encoder, [docs / "z.pdf"], after=1)
    report = sync_index(halves, shelf.encoder, [docs])
    assert (report.pages_kept, report.pages_encoded) == (4, PAGES - 4 + 1)
    sync_index(whole, shelf.encoder, [docs])
    assert contents(halves) == contents(whole)
    assert halves.unfinished.kept() == UnfinishedPages(0, 0)


def test_two_writers_of_a_server_do_not_use_the_same_file(
    location: Location, encoders: tuple[DenseEncoder, MultiVectorEncoder], docs: Path
) -> None:
    """Only a folder keeps other processes out; another process looks like another object here."""
    if not isinstance(location, QdrantServer):
        pytest.skip("a folder has a lock")
    _, late = encoders
    with (
        LateInteractionIndex.create(location, encoder=late) as one,
        LateInteractionIndex.open(location) as other,
    ):

        def write_too(state: SyncProgress) -> None:
            if state.pages_encoded == 2:
                interrupted(other, late, [docs], after=3)
                assert one.unfinished.kept() == UnfinishedPages(1, 2)
            if state.pages_encoded == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            sync_index(one, late, [docs], batch_pages=1, on_progress=write_too)
        report = sync_index(other, late, [docs])
        assert (report.pages_kept, report.pages_encoded) == (4, PAGES - 4 + 1)


def test_what_nobody_goes_on_with_does_not_stay_in_the_cache_for_ever(
    location: Location, encoders: tuple[DenseEncoder, MultiVectorEncoder], docs: Path
) -> None:
    if not isinstance(location, QdrantServer):
        pytest.skip("a folder keeps pages itself")
    cache = user_cache_path("vdr-integrations") / "unfinished"
    old, new = cache / "deleted-index" / "a.pages", cache / "deleted-index" / "b.pages"
    old.parent.mkdir(parents=True)
    for file in (old, new):
        file.write_bytes(b"pages")
    then = time.time() - 31 * 86_400
    os.utime(old, (then, then))
    with LateInteractionIndex.create(location, encoder=encoders[1]) as index:
        sync_index(index, encoders[1], [docs / "b.pdf"])
    assert [one.name for one in cache.rglob("*.pages")] == ["b.pages"]
