from __future__ import annotations

import errno
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from PIL import Image
from tests.index.documents import PageCounter, write_pdf, write_pdf_with_a_bad_page, write_png
from tests.index.other_writer import writing_elsewhere
from tests.machine import end_processes_at_once, files_left
from tests.pdfs import count_loads, hang_on_page

from vdr_integrations import DenseEncoder, load_encoder, open_pdf
from vdr_integrations.errors import (
    DocumentOpenError,
    DocumentPasswordError,
    EncodingError,
    ImageDecodeError,
    IndexLockedError,
    IndexMismatchError,
    InvalidVectorError,
    OptionError,
    PageGeometryError,
    PageRenderError,
    ResourceError,
)
from vdr_integrations.index import DenseIndex, SyncProgress, sync_index

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.records import FileState
    from vdr_integrations.pages import PdfDocument
    from vdr_integrations.types import PageInput


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    write_pdf(folder / "a.pdf", ["apples", "pears"])
    write_pdf(folder / "deep" / "b.pdf", ["boats"])
    write_png(folder / "c.png", "navy")
    return folder


def sources(index: DenseIndex) -> list[str]:
    return [document.source for document in index.documents()]


def age(path: Path) -> None:
    """Make a file look as if it was written an hour ago, so that its time can be trusted."""
    then = path.stat().st_mtime - 3600
    os.utime(path, (then, then))


def test_a_folder_of_pdfs_and_images_is_indexed_page_by_page(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    report = sync_index(index, encoder, [docs])
    expected = [f"{docs.as_posix()}/{name}" for name in ("a.pdf", "c.png", "deep/b.pdf")]
    assert report.added == expected
    assert sources(index) == expected
    assert (report.pages_encoded, index.count_pages(), report.failed) == (4, 4, [])


def test_one_path_is_not_read_as_a_list_of_its_letters(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(docs)
    assert sync_index(index, encoder, "deep").added == [f"{docs.as_posix()}/deep/b.pdf"]
    assert sync_index(index, encoder, docs / "a.pdf").added == [f"{docs.as_posix()}/a.pdf"]


def test_the_vectors_are_those_of_the_pages_encoded_directly(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    with open_pdf(docs / "a.pdf") as document:
        direct = encoder.encode_pages(list(document))
        image = document[1].to_image(encoder.pixel_budget)
    best = index.search(direct[1], k=1)[0]
    assert (best.source, best.page_number) == (f"{docs.as_posix()}/a.pdf", 2)
    assert best.score == pytest.approx(1.0, abs=1e-5)
    assert best.page_ref == str(image.ref)
    assert (best.page_label, best.total_pages, best.text.strip()) == ("2", 2, "pears")


def test_each_page_is_loaded_once_beside_the_look_at_the_first_when_its_file_is_opened(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = count_loads(monkeypatch)
    sync_index(index, encoder, [docs / "a.pdf"], render_workers=0)
    assert loads == {1: 2, 2: 1}


def test_unchanged_files_are_not_encoded_again(
    index: DenseIndex, encoder: DenseEncoder, counter: PageCounter, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    assert counter.pages == 4
    report = sync_index(index, encoder, [docs])
    assert counter.pages == 4
    assert len(report.unchanged) == 3
    assert not report.added


def test_a_touched_file_with_the_same_bytes_is_unchanged(
    index: DenseIndex, encoder: DenseEncoder, counter: PageCounter, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    age(docs / "a.pdf")
    report = sync_index(index, encoder, [docs])
    assert len(report.unchanged) == 3
    assert counter.pages == 4
    known = index.document(f"{docs.as_posix()}/a.pdf")
    assert known is not None
    assert known.file.modified_ns == (docs / "a.pdf").stat().st_mtime_ns


def test_a_changed_file_replaces_its_old_pages_and_only_it_is_encoded(
    index: DenseIndex, encoder: DenseEncoder, counter: PageCounter, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    write_pdf(docs / "a.pdf", ["plums"])
    report = sync_index(index, encoder, [docs])
    assert report.changed == [f"{docs.as_posix()}/a.pdf"]
    assert counter.pages == 5
    assert index.count_pages() == 3
    texts = {hit.text.strip() for hit in index.search(encoder.encode_queries(["x"])[0], k=9)}
    assert texts == {"plums", "boats", ""}


def test_a_change_that_keeps_size_and_time_right_after_indexing_is_seen(
    index: DenseIndex, encoder: DenseEncoder, tmp_path: Path
) -> None:
    picture = tmp_path / "p.bmp"
    write_png(picture, "red")
    status = picture.stat()
    sync_index(index, encoder, [picture])
    write_png(picture, "blue")
    os.utime(picture, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert picture.stat().st_size == status.st_size
    assert sync_index(index, encoder, [picture]).changed == [picture.as_posix()]


def test_a_file_whose_old_size_and_time_match_is_not_even_read(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in docs.rglob("*.*"):
        age(path)
    sync_index(index, encoder, [docs])
    for document in index.documents():  # as if it was read an hour later
        later = replace(document.file, checked_ns=document.file.checked_ns + 3600 * 10**9)
        index.update_file_state(document.source, later)

    def refuse(path: Path) -> None:
        raise AssertionError(path)

    monkeypatch.setattr("vdr_integrations.index.sync.source_files.read_file_state", refuse)
    assert len(sync_index(index, encoder, [docs]).unchanged) == 3


def test_a_file_moved_over_another_of_the_same_size_and_time_is_noticed(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    one, other = docs / "a.pdf", docs / "deep" / "b.pdf"
    write_pdf(one, ["boars"])
    longest = max(path.stat().st_size for path in (one, other))
    for path in (one, other):  # ids in a PDF have bytes that are written in one sign or in two
        path.write_bytes(path.read_bytes().ljust(longest, b"\n"))
    for path in (one, other):
        age(path)
    sync_index(index, encoder, [docs])
    other.replace(one)
    sync_index(index, encoder, [docs])
    (page,) = index.pages({"source": one.as_posix()})
    assert page.text.strip() == "boats"


def test_a_page_that_exceeded_a_limit_is_tried_again_with_a_higher_one(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    hang_on_page(docs / "a.pdf", 2)
    for limit_s in (0.25, 0.25, 0.5):
        report = sync_index(index, encoder, [docs], page_timeout_s=limit_s)
        (failure,) = report.failed
        assert f"{limit_s:g} s of CPU time" in str(failure.error)
        assert len(report.changed) == (limit_s == 0.5)


def test_texts_about_pdfs_are_no_documents(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    (docs / "magic").write_text("0 string %PDF- PDF document\n")
    (docs / "scan").write_bytes(b"\n" + (docs / "a.pdf").read_bytes())
    report = sync_index(index, encoder, [docs])
    assert (report.failed, len(report.added)) == ([], 4)


def test_documents_gone_from_a_given_folder_are_dropped_and_others_stay(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    elsewhere = write_pdf(tmp_path / "elsewhere" / "e.pdf", ["elsewhere"])
    sync_index(index, encoder, [docs, elsewhere])
    (docs / "deep" / "b.pdf").unlink()
    (docs / "deep").rmdir()
    elsewhere.unlink()
    report = sync_index(index, encoder, [docs])
    assert report.removed == [f"{docs.as_posix()}/deep/b.pdf"]
    assert elsewhere.as_posix() in sources(index)


def test_a_given_path_that_does_not_exist_fails_and_drops_nothing(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    docs.rename(docs.with_name("unmounted"))
    report = sync_index(index, encoder, [docs])
    assert [type(failure.error) for failure in report.failed] == [DocumentOpenError]
    assert report.removed == []
    assert len(index.documents()) == 3


def test_a_bad_file_is_reported_and_the_others_go_through(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    (docs / "b.pdf").write_bytes(b"%PDF-1.7 nothing else")
    (docs / "d.png").write_bytes(b"no picture")
    Image.new("RGB", (1000, 2)).save(docs / "e.png")
    report = sync_index(index, encoder, [docs])
    assert len(report.added) == 3
    assert [(failure.source, type(failure.error)) for failure in report.failed] == [
        (f"{docs.as_posix()}/b.pdf", DocumentOpenError),
        (f"{docs.as_posix()}/d.png", ImageDecodeError),
        (f"{docs.as_posix()}/e.png", PageGeometryError),
    ]
    assert report.failed[0].source in str(report.failed[0].error)


def test_a_document_is_closed_before_the_next_one_is_opened(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[PdfDocument] = []

    def open_next(path: Path, **options: Any) -> PdfDocument:
        for earlier in opened:
            with pytest.raises(DocumentOpenError, match="the document is closed"):
                earlier[0].text  # noqa: B018  # reading it raises
        opened.append(open_pdf(path, **options))
        return opened[-1]

    monkeypatch.setattr("vdr_integrations.pages.open_document.open_pdf", open_next)
    sync_index(index, encoder, [docs], render_workers=0)
    assert len(opened) == 2


def test_a_changed_file_that_cannot_be_read_any_more_is_dropped(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    (docs / "a.pdf").write_bytes(b"damaged")
    report = sync_index(index, encoder, [docs])
    assert report.removed == [f"{docs.as_posix()}/a.pdf"]
    assert len(report.failed) == 1
    assert len(index.documents()) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="has a file that opens and cannot be read")
def test_pages_of_a_file_that_nobody_can_look_into_stay(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    (docs / "a.pdf").unlink()
    (docs / "a.pdf").symlink_to("/proc/self/mem")
    report = sync_index(index, encoder, [docs])
    assert (report.removed, len(report.failed), len(index.documents())) == ([], 1, 3)
    assert "Input/output error" in str(report.failed[0].error)


def test_a_bad_page_is_named_every_time_and_the_rest_of_its_document_is_indexed_once(
    index: DenseIndex, encoder: DenseEncoder, counter: PageCounter, tmp_path: Path
) -> None:
    path = write_pdf_with_a_bad_page(tmp_path / "x.pdf")
    first = sync_index(index, encoder, [path])
    second = sync_index(index, encoder, [path])
    assert first.added == second.unchanged == [path.as_posix()]
    assert counter.pages == index.count_pages() == 2
    assert isinstance(first.failed[0].error, PageGeometryError)
    for report in (first, second):
        assert [failure.page_number for failure in report.failed] == [2]
        assert f"{path.as_posix()} page 2: " in str(report.failed[0].error)
    hits = index.search(encoder.encode_queries(["x"])[0])
    assert {(hit.page_number, hit.total_pages) for hit in hits} == {(1, 3), (3, 3)}


def test_pages_drawn_by_other_processes_make_the_same_index(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    write_pdf_with_a_bad_page(docs / "long.pdf")
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 no more")
    report = sync_index(index, encoder, [docs], render_workers=2)
    other = DenseIndex.create(tmp_path / "other", manifest=index.manifest)
    here = sync_index(other, encoder, [docs], render_workers=0)
    assert sources(index) == sources(other)
    (query,) = encoder.encode_queries(["boats"])
    assert index.search(query, k=10) == other.search(query, k=10)
    assert report.added == here.added
    assert [str(failure) for failure in report.failed] == [str(one) for one in here.failed]
    assert len(report.failed) == 2
    assert report.pages_encoded == here.pages_encoded == 6
    again = sync_index(index, encoder, [docs], render_workers=2)
    assert (again.pages_encoded, len(again.failed)) == (0, 2)


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_of_a_report_hold_none_of_the_stacks_that_raised_them(
    index: DenseIndex, encoder: DenseEncoder, tmp_path: Path, *, workers: int
) -> None:
    write_pdf_with_a_bad_page(tmp_path / "a.pdf")
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.7 no more")
    report = sync_index(index, encoder, [tmp_path], render_workers=workers)
    assert len(report.failed) == 2
    for failure in report.failed:
        one: BaseException | None = failure.error
        while one is not None:
            assert (one.__traceback__, one.__context__) == (None, None)
            one = one.__cause__


def test_a_page_that_hangs_mupdf_is_named_and_the_rest_of_its_document_is_indexed(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    write_pdf(docs / "a.pdf", ["apples", "pears", "plums"])
    hang_on_page(docs / "a.pdf", 2)
    report = sync_index(index, encoder, [docs], render_workers=1, page_timeout_s=0.5)
    assert (len(report.added), index.count_pages()) == (3, 4)
    (failure,) = report.failed
    assert (failure.source, failure.page_number) == (f"{docs.as_posix()}/a.pdf", 2)
    assert isinstance(failure.error, PageRenderError)


def test_a_machine_that_starts_no_process_stops_the_run_and_old_pages_stay(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync_index(index, encoder, [docs])
    before = sources(index)
    write_pdf(docs / "a.pdf", ["plums", "pears"])
    end_processes_at_once(monkeypatch)
    with pytest.raises(ResourceError, match="render_workers=0"):
        sync_index(index, encoder, [docs], render_workers=1)
    assert (sources(index), index.count_pages()) == (before, 4)
    report = sync_index(index, encoder, [docs], render_workers=0)
    assert (report.changed, report.removed) == ([f"{docs.as_posix()}/a.pdf"], [])


def test_a_machine_that_opens_no_more_files_stops_the_run_and_old_pages_stay(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    write_pdf(docs / "a.pdf", ["plums"])
    with ExitStack() as machine:

        def run_short(progress: SyncProgress) -> None:
            if progress.source.endswith("a.pdf"):
                machine.enter_context(files_left(0))

        with pytest.raises(ResourceError, match=r"a\.pdf: .*Too many open files.*ulimit -n"):
            sync_index(index, encoder, [docs], on_progress=run_short, render_workers=0)
    assert (len(sources(index)), index.count_pages()) == (3, 4)


def test_what_the_index_cannot_write_is_not_taken_for_an_unreadable_document(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync_index(index, encoder, [docs])
    age(docs / "a.pdf")

    def full(source: str, file: FileState) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(index, "update_file_state", full)
    with pytest.raises(OSError, match="No space left"):
        sync_index(index, encoder, [docs])
    assert len(sources(index)) == 3


def test_an_encrypted_pdf_needs_its_password_only_when_it_is_encoded(
    index: DenseIndex, encoder: DenseEncoder, tmp_path: Path
) -> None:
    path = write_pdf(tmp_path / "secret.pdf", ["secret"], password="open sesame")
    without = sync_index(index, encoder, [path])
    assert isinstance(without.failed[0].error, DocumentPasswordError)
    assert sync_index(index, encoder, [path], password="open sesame").added == [path.as_posix()]
    assert sync_index(index, encoder, [path]).unchanged == [path.as_posix()]


def test_small_documents_share_batches_and_long_ones_are_split(
    index: DenseIndex, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = DenseEncoder.load(
        str(tiny_checkpoint), max_visual_tokens=16, dimension=32, batch_visual_tokens=3 * 16
    )
    counter = PageCounter(encoder, monkeypatch)
    for name in "abc":
        write_pdf(tmp_path / "docs" / f"{name}.pdf", [name])
    write_pdf(tmp_path / "docs" / "d.pdf", ["d1", "d2", "d3", "d4"])
    sync_index(index, encoder, [tmp_path / "docs"], batch_pages=3)
    assert counter.batches == [3, 3, 1]
    assert index.count_pages() == 7


def test_the_same_file_given_twice_or_through_a_linked_folder_is_one_document(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    link = docs.with_name("link")
    link.symlink_to(docs, target_is_directory=True)
    report = sync_index(index, encoder, [docs, link, docs / "deep" / ".." / "a.pdf"])
    assert len(report.added) == 3
    assert len(sync_index(index, encoder, [link]).unchanged) == 3


def test_a_relative_path_is_stored_whole(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(docs)
    assert sync_index(index, encoder, ["a.pdf"]).added == [(docs / "a.pdf").as_posix()]


def test_a_file_whose_name_is_not_utf8_is_reported(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    os.rename(docs / "c.png", os.fsencode(docs) + b"/\xff.png")  # noqa: PTH104  # bytes
    report = sync_index(index, encoder, [docs])
    assert len(report.added) == 2
    assert "not UTF-8" in str(report.failed[0].error)
    str(report.failed[0].error).encode()


def test_a_page_without_a_usable_vector_is_left_out_and_its_batch_goes_through(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = encoder.encode_pages

    def fragile(pages: Iterable[PageInput]) -> NDArray[np.float32]:
        listed = list(pages)
        if any("a.pdf page 2" in repr(page) for page in listed):
            raise InvalidVectorError("NaN")
        return encode(listed)

    monkeypatch.setattr(encoder, "encode_pages", fragile)
    report = sync_index(index, encoder, [docs])
    assert len(report.added) == 3
    assert index.count_pages() == 3
    failure = report.failed[0]
    assert (failure.source, failure.page_number) == (f"{docs.as_posix()}/a.pdf", 2)
    assert "a.pdf page 2" in str(failure.error)


def test_a_run_that_breaks_off_keeps_whole_documents_and_the_next_one_completes(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, calls = encoder.encode_pages, [0]

    def breaks(pages: Iterable[PageInput]) -> NDArray[np.float32]:
        calls[0] += 1
        if calls[0] == 4:
            raise EncodingError("closed")
        return encode(pages)

    monkeypatch.setattr(encoder, "encode_pages", breaks)
    with pytest.raises(EncodingError):
        sync_index(index, encoder, [docs], batch_pages=1)
    assert index.count_pages() == 3
    report = sync_index(index, encoder, [docs], batch_pages=1)
    assert len(report.unchanged) == 2
    assert len(report.added) == 1
    assert index.count_pages() == 4


def test_another_encoder_is_refused_before_anything_is_read(
    index: DenseIndex, encoder: DenseEncoder, tiny_checkpoint: Path, docs: Path
) -> None:
    other = load_encoder(str(tiny_checkpoint), max_visual_tokens=16, dimension=24)
    with pytest.raises(IndexMismatchError, match=r"dimension 32.* dimension 24|dimension 32"):
        sync_index(index, other, [docs])
    assert index.documents() == []


def test_two_runs_at_once_are_refused(index: DenseIndex, encoder: DenseEncoder, docs: Path) -> None:
    with writing_elsewhere(index.path) as other:
        in_vain = DenseIndex.open(index.path, wait_s=0)
        with pytest.raises(IndexLockedError, match=f"process {other.pid} is writing"):
            sync_index(in_vain, encoder, [docs])


def test_progress_ends_with_everything_done(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    seen: list[SyncProgress] = []
    sync_index(index, encoder, [docs], batch_pages=1, on_progress=seen.append)
    assert [seen[-1].documents_done, seen[-1].documents_total, seen[-1].pages_encoded] == [3, 3, 4]
    encoded = [state.pages_encoded for state in seen]
    assert encoded == sorted(encoded)


def test_the_encoders_batch_is_filled_with_pages_of_many_files(
    index: DenseIndex, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for n in range(40):
        Image.new("RGB", (56, 56), (n, 2 * n, 90)).save(docs / f"{n}.png")
    encoder = load_encoder(
        str(tiny_checkpoint), max_visual_tokens=16, dimension=32, batch_visual_tokens=40 * 16
    )
    backbone = encoder.model_here.backbone
    with mock.patch.object(backbone, "pages", side_effect=backbone.pages) as pages:
        sync_index(index, encoder, [docs])
    assert [len(call.args[0]) for call in pages.call_args_list] == [40]


def test_batch_pages_below_one_is_refused(index: DenseIndex, encoder: DenseEncoder) -> None:
    with pytest.raises(OptionError, match="at least 1, found 0"):
        sync_index(index, encoder, [], batch_pages=0)
