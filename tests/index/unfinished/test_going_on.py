"""What is kept of a document between two runs, when it is used, and when it is removed."""

from __future__ import annotations

import errno
import os
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pymupdf
import pytest
from tests.index.documents import write_pdf

from vdr_integrations.errors import EncodingError
from vdr_integrations.index import (
    DenseIndex,
    Manifest,
    SyncProgress,
    UnfinishedPages,
    open_index,
    sync_index,
)
from vdr_integrations.index.unfinished import unfinished_document, unfinished_documents
from vdr_integrations.index.verify import verify_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations import DenseEncoder
    from vdr_integrations.types import PageInput

PAGES, KEPT = 7, 4
NOTHING = UnfinishedPages(0, 0)


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    return write_pdf(tmp_path / "docs" / "a.pdf", [f"apples {n}" for n in range(PAGES)])


def interrupted(
    index: DenseIndex,
    encoder: DenseEncoder,
    *paths: Path,
    after: int = KEPT,
    meanwhile: Callable[[SyncProgress], None] = lambda _: None,
) -> None:
    def stop(state: SyncProgress) -> None:
        meanwhile(state)
        if state.pages_encoded == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync_index(index, encoder, paths, batch_pages=1, on_progress=stop)


def kept_files(index: DenseIndex) -> list[Path]:
    return sorted((index.path / "unfinished").glob("*"))


def contents(index: DenseIndex) -> list[object]:
    found: list[object] = [
        replace(document, file=replace(document.file, checked_ns=0))
        for document in index.documents()
    ]
    for page in index.get(index.page_ids(), with_vectors=True):
        assert page.dense is not None
        found.append((repr(replace(page, dense=None)), page.dense.tobytes()))
    return found


@pytest.fixture
def whole(pdf: Path, encoder: DenseEncoder, tmp_path: Path) -> list[object]:
    """The contents of an index that one run made."""
    with DenseIndex.create(tmp_path / "whole", encoder=encoder) as index:
        sync_index(index, encoder, [pdf])
        return contents(index)


def test_no_altered_byte_gets_into_the_index(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path, whole: list[object], tmp_path: Path
) -> None:
    interrupted(index, encoder, pdf)
    (file,) = kept_files(index)
    data, chance = file.read_bytes(), random.Random(0)
    places = [5, len(data) - 1, *chance.sample(range(len(data)), 6)]
    for number, place in enumerate(places):
        copy = shutil.copytree(index.path, tmp_path / f"copy-{number}")
        altered = bytearray(data)
        altered[place] ^= 1 << chance.randrange(8)
        (copy / "unfinished" / file.name).write_bytes(altered)
        with DenseIndex.open(copy) as other:
            kept = other.unfinished.kept(read_all=True).pages
            assert kept < KEPT
            assert verify_index(other).problems == ()
            report = sync_index(other, encoder, [pdf])
            assert (report.pages_kept, report.pages_encoded) == (kept, PAGES - kept)
            assert contents(other) == whole
            assert kept_files(other) == []


def test_a_torn_tail_is_cut_and_the_next_pages_are_kept_behind_what_is_whole(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path, whole: list[object]
) -> None:
    interrupted(index, encoder, pdf)
    (file,) = kept_files(index)
    os.truncate(file, file.stat().st_size - 3)
    assert index.unfinished.kept() == UnfinishedPages(1, KEPT - 1)
    interrupted(index, encoder, pdf, after=2)
    assert index.unfinished.kept(read_all=True) == UnfinishedPages(1, KEPT + 1)
    assert sync_index(index, encoder, [pdf]).pages_kept == KEPT + 1
    assert contents(index) == whole


def test_an_encoder_that_breaks_off_loses_no_page_that_it_gave(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, calls = encoder.encode_pages, [0]

    def breaks(pages: Iterable[PageInput]) -> NDArray[np.float32]:
        calls[0] += 1
        if calls[0] == KEPT + 1:
            raise EncodingError("closed")
        return encode(pages)

    monkeypatch.setattr(encoder, "encode_pages", breaks)
    with pytest.raises(EncodingError):
        sync_index(index, encoder, [pdf], batch_pages=1)
    report = sync_index(index, encoder, [pdf])
    assert (report.pages_kept, report.pages_encoded) == (KEPT, PAGES - KEPT)


def test_the_old_version_is_found_until_the_new_one_is_complete(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path
) -> None:
    sync_index(index, encoder, [pdf])
    old = contents(index)
    write_pdf(pdf, [f"pears {n}" for n in range(PAGES)])
    interrupted(index, encoder, pdf)
    assert contents(index) == old
    report = sync_index(index, encoder, [pdf])
    assert (report.changed, report.pages_kept) == ([pdf.as_posix()], KEPT)
    assert {page.text.split()[0] for page in index.pages()} == {"pears"}


def test_pages_that_failed_are_tried_again(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path
) -> None:
    with pymupdf.open(pdf) as document:
        document.xref_set_key(document[1].xref, "MediaBox", "[0 0 200 99999999]")
        document.saveIncr()
    interrupted(index, encoder, pdf)
    report = sync_index(index, encoder, [pdf])
    assert [failure.page_number for failure in report.failed] == [2]
    assert (report.pages_kept, report.pages_encoded) == (KEPT, PAGES - 1 - KEPT)
    assert index.count_pages() == PAGES - 1


def test_a_file_that_changes_while_it_is_encoded_leaves_nothing(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path
) -> None:
    def change(state: SyncProgress) -> None:
        if state.pages_encoded == 2:
            os.utime(pdf, ns=(1, 1))

    interrupted(index, encoder, pdf, meanwhile=change)
    assert index.unfinished.kept() == NOTHING
    assert kept_files(index) == []


def test_two_files_with_the_same_bytes_do_not_disturb_each_other(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path
) -> None:
    copy = Path(shutil.copy(pdf, pdf.with_name("b.pdf")))
    interrupted(index, encoder, copy)
    report = sync_index(index, encoder, [pdf, copy])
    assert (report.pages_kept, report.pages_encoded) == (2 * KEPT, 2 * (PAGES - KEPT))
    assert [page.text for page in index.pages({"source": pdf.as_posix()})] == [
        page.text for page in index.pages({"source": copy.as_posix()})
    ]
    assert kept_files(index) == []


def test_pages_that_were_made_for_another_index_are_not_used(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path, tmp_path: Path
) -> None:
    interrupted(index, encoder, pdf)
    with DenseIndex.create(tmp_path / "other", manifest=Manifest.of(encoder)) as other:
        shutil.copytree(index.path / "unfinished", other.path / "unfinished")
        assert other.unfinished.kept() == NOTHING
        assert sync_index(other, encoder, [pdf]).pages_kept == 0
        assert kept_files(other) == []


def test_pages_that_another_release_drew_are_not_used(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(index, encoder, pdf)
    monkeypatch.setattr(unfinished_documents, "DRAWN_BY", ("pillow",))
    assert index.unfinished.kept() == NOTHING
    assert sync_index(index, encoder, [pdf]).pages_kept == 0
    assert kept_files(index) == []


@pytest.fixture
def full_disk(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> pytest.LogCaptureFixture:
    """Unfinished documents meet a full disk."""

    class Full:
        """``os`` with room for a few more bytes."""

        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

        @staticmethod
        def write(descriptor: int, data: memoryview) -> int:
            if len(data) > 100:
                return os.write(descriptor, data[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(unfinished_document, "os", Full())
    return caplog


def test_a_full_disk_costs_only_what_could_not_be_kept(
    index: DenseIndex,
    encoder: DenseEncoder,
    pdf: Path,
    whole: list[object],
    full_disk: pytest.LogCaptureFixture,
) -> None:
    report = sync_index(index, encoder, [pdf], batch_pages=1)
    assert report.pages_encoded == PAGES
    assert contents(index) == whole
    assert kept_files(index) == []
    (warning,) = full_disk.messages
    assert "No space left" in warning
    assert "Make room" in warning


def test_a_file_in_the_place_of_the_folder_does_not_stop_a_run(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path, whole: list[object]
) -> None:
    (index.path / "unfinished").write_text("mine")
    sync_index(index, encoder, [pdf], batch_pages=1)
    assert contents(index) == whole
    assert index.unfinished.kept() == NOTHING
    assert (index.path / "unfinished").read_text() == "mine"


def test_a_left_over_of_a_committed_document_is_removed_by_the_next_run(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path
) -> None:
    interrupted(index, encoder, pdf)
    (file,) = kept_files(index)
    data = file.read_bytes()
    sync_index(index, encoder, [pdf])
    file.parent.mkdir()
    file.write_bytes(data)
    report = sync_index(index, encoder, [pdf])
    assert (len(report.unchanged), report.pages_kept) == (1, 0)
    assert kept_files(index) == []


def test_what_can_be_continued_stays_and_everything_else_is_tidied_up(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path
) -> None:
    names = ["changed", "gone", "good", "old", "removed", "touched"]
    paths = {name: pdf.with_name(f"{name}.pdf") for name in names}
    for name, path in paths.items():
        write_pdf(path, [name, name])
        interrupted(index, encoder, path, after=1)
    assert index.unfinished.kept() == UnfinishedPages(len(names), len(names))
    write_pdf(paths["changed"], ["other"])
    paths["gone"].unlink()
    os.utime(paths["touched"], ns=(1, 1))
    index.remove_document(paths["removed"].as_posix())
    then = time.time() - 31 * 86_400
    for file in kept_files(index):
        if b"old.pdf" in file.read_bytes()[:400]:
            os.utime(file, (then, then))
    (index.path / "unfinished" / f"{'0' * 32}-{'0' * 16}.pages").write_bytes(b"torn")
    index.optimize()
    assert index.unfinished.kept() == UnfinishedPages(3, 3)
    assert index.unfinished.sources() == [
        paths[one].as_posix() for one in ("gone", "good", "touched")
    ]
    moved = write_pdf(paths["gone"].with_name("moved.pdf"), ["gone", "gone"])
    report = sync_index(index, encoder, [paths["good"], paths["touched"]])
    assert (report.pages_kept, report.pages_encoded) == (2, 2)
    assert index.unfinished.kept() == UnfinishedPages(1, 1)
    index.remove_document(paths["gone"].as_posix())
    assert moved.exists()
    assert not (index.path / "unfinished").exists()


def test_who_only_reads_sees_what_is_kept_and_changes_nothing(
    index: DenseIndex, encoder: DenseEncoder, pdf: Path
) -> None:
    interrupted(index, encoder, pdf)
    before = {path: path.stat().st_mtime_ns for path in index.path.rglob("*")}
    with open_index(index.path) as reader:
        assert reader.unfinished.kept() == UnfinishedPages(1, KEPT)
        assert verify_index(reader).unfinished == UnfinishedPages(1, KEPT)
        assert str(reader.unfinished.kept()) == "4 pages of 1 unfinished document are kept"
        assert reader.search(encoder.encode_queries(["apples"])[0]) == []
    assert {path: path.stat().st_mtime_ns for path in index.path.rglob("*")} == before
