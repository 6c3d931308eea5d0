"""Files that were moved or renamed: their pages are copied and not encoded again."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from tests.index.documents import PageCounter, write_pdf, write_pdf_with_a_bad_page, write_png

from vdr_integrations.errors import EncodingError
from vdr_integrations.index import DenseIndex, DocumentRecord, FileState, PageRecord, sync_index
from vdr_integrations.index.sync.moved_files import MovedFile, in_safe_order

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations import DenseEncoder
    from vdr_integrations.index import SyncProgress


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    write_pdf(folder / "a.pdf", ["apples", "pears"])
    write_pdf(folder / "deep" / "b.pdf", ["boats"])
    write_png(folder / "c.png", "navy")
    return folder


def texts(index: DenseIndex) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for page in index.pages():
        found.setdefault(page.source.rpartition("/")[2], []).append(page.text.strip())
    return found


def under(folder: Path, *names: str) -> list[str]:
    return [f"{folder.as_posix()}/{name}" for name in names]


def test_a_renamed_folder_is_the_same_documents_under_other_names(
    index: DenseIndex, encoder: DenseEncoder, counter: PageCounter, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    (docs / "deep").rename(docs / "deeper")
    (docs / "a.pdf").rename(docs / "z.pdf")
    before = {page.text: page for page in index.get(index.page_ids(), with_vectors=True)}
    report = sync_index(index, encoder, [docs])
    assert report.added == under(docs, "deeper/b.pdf", "z.pdf")
    assert report.removed == under(docs, "a.pdf", "deep/b.pdf")
    assert (report.pages_encoded, counter.pages, index.count_pages()) == (0, 4, 4)
    for page in index.get(index.page_ids(), with_vectors=True):
        assert page.dense is not None
        assert (page.dense == before[page.text].dense).all()
    again = sync_index(index, encoder, [docs])
    assert (len(again.unchanged), again.pages_encoded) == (3, 0)


def test_a_file_that_came_from_outside_the_given_paths_leaves_its_old_name(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    inbox = write_pdf(tmp_path / "inbox" / "x.pdf", ["x"])
    write_pdf(tmp_path / "inbox" / "y.pdf", ["y"])
    sync_index(index, encoder, [inbox])
    inbox.rename(docs / "x.pdf")
    report = sync_index(index, encoder, [docs])
    assert report.removed == [inbox.as_posix()]
    assert report.pages_encoded == 4


def test_a_second_copy_of_a_file_is_a_document_of_its_own(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    (docs / "copy.pdf").write_bytes((docs / "a.pdf").read_bytes())
    report = sync_index(index, encoder, [docs])
    assert (report.added, report.removed) == (under(docs, "copy.pdf"), [])
    assert (report.pages_encoded, index.count_pages()) == (0, 6)


def test_a_copy_on_another_disk_leaves_the_document_of_a_disk_that_is_not_mounted(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    sync_index(index, encoder, [docs])
    backup = docs.rename(tmp_path / "backup")
    docs.mkdir()
    report = sync_index(index, encoder, [backup])
    assert (report.pages_encoded, report.removed, report.missing) == (0, [], [])
    assert len(index.documents()) == 6


def test_a_file_that_left_its_folder_empty_was_moved(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    (docs / "deep" / "b.pdf").rename(docs / "b.pdf")
    report = sync_index(index, encoder, [docs])
    assert (report.removed, report.missing) == (under(docs, "deep/b.pdf"), [])


def test_an_old_version_that_got_another_name_is_copied_before_the_new_one_replaces_it(
    index: DenseIndex, encoder: DenseEncoder, counter: PageCounter, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    (docs / "a.pdf").rename(docs / "z-old.pdf")
    write_pdf(docs / "a.pdf", ["plums"])
    report = sync_index(index, encoder, [docs])
    assert (report.added, report.changed) == (under(docs, "z-old.pdf"), under(docs, "a.pdf"))
    assert (report.removed, counter.pages) == ([], 5)
    assert texts(index)["z-old.pdf"] == ["apples", "pears"]
    assert texts(index)["a.pdf"] == ["plums"]


def test_files_that_change_their_names_in_turn_are_copied_in_turn(
    index: DenseIndex, encoder: DenseEncoder, counter: PageCounter, docs: Path
) -> None:
    for number in (1, 2, 3):
        write_pdf(docs / f"{number}.pdf", [f"page {number}"])
    sync_index(index, encoder, [docs])
    encoded = counter.pages
    for number in (3, 2, 1):
        (docs / f"{number}.pdf").rename(docs / f"{number + 1}.pdf")
    report = sync_index(index, encoder, [docs])
    assert (sorted(report.changed), report.added) == (
        under(docs, "2.pdf", "3.pdf"),
        under(docs, "4.pdf"),
    )
    assert (report.removed, counter.pages) == (under(docs, "1.pdf"), encoded)
    assert {name: texts(index)[f"{name}.pdf"] for name in "234"} == {
        "2": ["page 1"],
        "3": ["page 2"],
        "4": ["page 3"],
    }


def test_two_files_that_change_places_are_what_they_are(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    write_pdf(docs / "1.pdf", ["page 1"])
    write_pdf(docs / "2.pdf", ["page 2"])
    sync_index(index, encoder, [docs])
    (docs / "1.pdf").rename(docs / "3.pdf")
    (docs / "2.pdf").rename(docs / "1.pdf")
    (docs / "3.pdf").rename(docs / "2.pdf")
    assert sorted(sync_index(index, encoder, [docs]).changed) == under(docs, "1.pdf", "2.pdf")
    assert (texts(index)["1.pdf"], texts(index)["2.pdf"]) == (["page 2"], ["page 1"])


def test_metadata_and_pages_that_were_left_out_are_copied_too(
    index: DenseIndex, encoder: DenseEncoder, tmp_path: Path
) -> None:
    write_pdf(tmp_path / "docs" / "b.pdf", ["b"])
    path = write_pdf_with_a_bad_page(tmp_path / "docs" / "long.pdf")
    sync_index(index, encoder, [path])
    (known,) = index.documents()
    staged = index.stage_document(known.source, metadata={"author": "me"})
    for page in index.get(index.page_ids(), with_vectors=True):
        assert page.dense is not None
        staged.add(
            PageRecord(page.page_number, page.page_label, page.page_ref, page.text),
            page.dense,
            metadata={"number": page.page_number},
        )
    staged.commit(known)
    new = path.rename(path.with_name("new.pdf"))
    report = sync_index(index, encoder, [new])
    assert (report.removed, report.pages_encoded) == ([path.as_posix()], 0)
    assert [(failure.source, failure.page_number) for failure in report.failed] == [
        (new.as_posix(), 2)
    ]
    moved = index.document(new.as_posix())
    assert moved is not None
    assert (moved.total_pages, moved.skipped) == (known.total_pages, known.skipped)
    assert [page.metadata for page in index.pages()] == [
        {"author": "me", "number": 1},
        {"author": "me", "number": 3},
    ]


def test_an_encrypted_document_is_moved_without_its_password(
    index: DenseIndex, encoder: DenseEncoder, tmp_path: Path
) -> None:
    path = write_pdf(tmp_path / "docs" / "x.pdf", ["x"], password="sesame")
    sync_index(index, encoder, [path], password="sesame")
    new = path.rename(path.with_name("y.pdf"))
    report = sync_index(index, encoder, [path.parent])
    assert (report.added, report.failed) == ([new.as_posix()], [])


def test_pages_that_were_not_made_from_a_file_are_never_copied(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs / "a.pdf"])
    (known,) = index.documents()
    nothing = FileState("0" * 64, known.file.size_bytes, 0, 0)
    index.update_file_state(known.source, nothing)
    (docs / "a.pdf").rename(docs / "z.pdf")
    report = sync_index(index, encoder, [docs / "z.pdf"])
    assert (report.pages_encoded, report.removed) == (2, [])


def test_a_run_that_broke_off_between_copy_and_removal_is_completed_by_the_next(
    index: DenseIndex,
    encoder: DenseEncoder,
    docs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = write_pdf(tmp_path / "elsewhere" / "e.pdf", ["elsewhere"])
    write_pdf(tmp_path / "elsewhere" / "stays.pdf", ["stays"])
    sync_index(index, encoder, [docs / "a.pdf", elsewhere])
    (docs / "a.pdf").rename(docs / "z.pdf")
    elsewhere.rename(docs / "e.pdf")

    def breaks(pages: object) -> None:
        raise EncodingError("closed")

    with monkeypatch.context() as patch:
        patch.setattr(encoder, "encode_pages", breaks)
        with pytest.raises(EncodingError):
            sync_index(index, encoder, [docs])
    assert set(texts(index)) == {"a.pdf", "z.pdf", "e.pdf"}
    assert len(index.documents()) == 4
    report = sync_index(index, encoder, [docs])
    assert sorted(report.removed) == sorted([*under(docs, "a.pdf"), elsewhere.as_posix()])
    assert sorted(report.unchanged) == under(docs, "e.pdf", "z.pdf")


def test_altered_pages_are_not_copied_but_encoded(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs / "a.pdf"])
    (vectors,) = (one for one in (docs.parent / "index").iterdir() if one.suffix == ".dense")
    spoiled = bytearray(vectors.read_bytes())
    spoiled[0] ^= 1
    vectors.write_bytes(spoiled)
    (docs / "a.pdf").rename(docs / "z.pdf")
    report = sync_index(index, encoder, [docs])
    assert (report.pages_encoded, report.removed) == (4, under(docs, "a.pdf"))
    assert index.check_document(under(docs, "z.pdf")[0]) == (2, [])


def test_progress_counts_moved_documents(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    (docs / "a.pdf").rename(docs / "z.pdf")
    seen: list[SyncProgress] = []
    sync_index(index, encoder, [docs], on_progress=seen.append)
    assert (seen[-1].documents_done, seen[-1].documents_total) == (3, 3)
    assert under(docs, "z.pdf")[0] in [one.source for one in seen]


def moved(source: str, holder: str) -> MovedFile:
    state = FileState("f" * 64, 1, 2, 3)
    return MovedFile(source, replace(DocumentRecord(holder, state, 1), source=holder), state)


def test_a_document_is_copied_before_it_is_replaced() -> None:
    for given in permutations([("b", "a"), ("c", "b"), ("d", "c"), ("e", "b")]):
        ordered = in_safe_order([moved(*one) for one in given])
        assert len(ordered) == 4
        replaced: set[str] = set()
        for one in ordered:
            assert one.holder.source not in replaced
            replaced.add(one.source)


def test_a_circle_of_names_is_left_out_and_the_others_are_copied() -> None:
    circle = [moved("a", "b"), moved("b", "a"), moved("c", "a"), moved("x", "y")]
    assert [one.source for one in in_safe_order(circle)] == ["c", "x"]
