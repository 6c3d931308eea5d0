"""Which documents a synchronisation drops, and which it keeps although their files are away."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.index.documents import write_pdf, write_png
from tests.unprivileged import as_nobody, let_nobody_in

from vdr_integrations.errors import DocumentOpenError
from vdr_integrations.index import DenseIndex, sync_index

if TYPE_CHECKING:
    from vdr_integrations import DenseEncoder


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    for name in ("a", "b", "disk/c", "disk/deep/d"):
        write_pdf(folder / f"{name}.pdf", [name])
    return folder


@pytest.fixture
def synced(index: DenseIndex, encoder: DenseEncoder, docs: Path) -> DenseIndex:
    sync_index(index, encoder, [docs])
    return index


@pytest.fixture
def in_docs(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(docs)


def sources(index: DenseIndex, folder: Path) -> list[str]:
    return [one.source.removeprefix(f"{folder.as_posix()}/") for one in index.documents()]


def unmount(folder: Path) -> None:
    """Leave the folder as it is when no disk is mounted there."""
    folder.rename(folder.with_name(f"{folder.name} in the drawer"))
    folder.mkdir()


def mount(folder: Path) -> None:
    folder.rmdir()
    folder.with_name(f"{folder.name} in the drawer").rename(folder)


def test_documents_of_an_empty_mount_point_stay_until_the_caller_says_they_are_gone(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    unmount(docs)
    gone = [f"{docs.as_posix()}/{name}.pdf" for name in ("a", "b", "disk/c", "disk/deep/d")]
    report = sync_index(index, encoder, [docs])
    assert (report.missing, report.removed, report.failed) == (gone, [], [])
    mount(docs)
    assert len(sync_index(index, encoder, [docs]).unchanged) == 4
    unmount(docs)
    report = sync_index(index, encoder, [docs], drop_missing=True)
    assert (report.missing, report.removed, report.failed) == ([], gone, [])
    assert index.documents() == []


def test_an_empty_mount_point_inside_a_given_folder_keeps_its_documents_only(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    (docs / "disk").rename(docs.with_name("drawer"))
    (docs / "disk").mkdir()
    (docs / "a.pdf").unlink()
    report = sync_index(index, encoder, [docs])
    assert report.removed == [f"{docs.as_posix()}/a.pdf"]
    assert report.missing == [f"{docs.as_posix()}/disk/{one}.pdf" for one in ("c", "deep/d")]


def test_a_link_to_a_file_on_a_disk_that_is_not_mounted_is_missing_and_not_gone(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "usb"
    write_pdf(disk / "x.pdf", ["x"])
    (docs / "x.pdf").symlink_to(disk / "x.pdf")
    sync_index(index, encoder, [docs])
    unmount(disk)
    report = sync_index(index, encoder, [docs])
    assert (report.missing, report.removed) == ([f"{docs.as_posix()}/x.pdf"], [])


@pytest.mark.parametrize("given", ["docs", "docs/a.pdf", "docs/disk"])
def test_a_path_that_does_not_exist_drops_nothing_unless_that_is_asked_for(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, tmp_path: Path, given: str
) -> None:
    sync_index(index, encoder, [docs])
    path = tmp_path / given
    path.rename(tmp_path / "away")
    known = [one for one in map(str, sources(index, tmp_path)) if one.startswith(given)]
    absolute = [f"{tmp_path.as_posix()}/{one}" for one in known]
    report = sync_index(index, encoder, [path])
    assert (report.missing, report.removed) == (absolute, [])
    (failure,) = report.failed
    assert (failure.source, type(failure.error)) == (str(path), DocumentOpenError)
    assert len(index.documents()) == 4
    report = sync_index(index, encoder, [path], drop_missing=True)
    assert (report.missing, report.removed, report.failed) == ([], absolute, [])


def test_a_path_of_which_nothing_is_known_fails_also_with_drop_missing(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    report = sync_index(index, encoder, [docs, docs / "tpyo.pdf"], drop_missing=True)
    assert [failure.source for failure in report.failed] == [str(docs / "tpyo.pdf")]


@pytest.mark.parametrize(
    ("pattern", "gone", "dropped"),
    [
        ("*.pdf", "a.pdf", ["a.pdf"]),
        ("**/*.pdf", "disk/deep", ["disk/deep/d.pdf"]),
        ("di*", "disk/deep", ["disk/deep/d.pdf"]),
        ("di*", "disk", ["disk/c.pdf", "disk/deep/d.pdf"]),
        ("[a]*", "a.pdf", ["a.pdf"]),
        ("b*", "a.pdf", []),
        ("*/*.pdf", "a.pdf", []),
    ],
)
@pytest.mark.usefixtures("in_docs")
def test_a_pattern_drops_what_it_would_have_found(
    synced: DenseIndex, encoder: DenseEncoder, pattern: str, gone: str, dropped: list[str]
) -> None:
    docs = Path.cwd()
    (docs / gone).rename(docs.with_name("gone"))
    report = sync_index(synced, encoder, [f"../docs/{pattern}"])
    assert report.removed == [f"{docs.as_posix()}/{name}" for name in dropped]
    assert report.missing == []


def test_a_pattern_keeps_what_may_only_be_unmounted(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    unmount(docs)
    report = sync_index(index, encoder, [docs / "*.pdf"])
    assert report.missing == [f"{docs.as_posix()}/{name}.pdf" for name in "ab"]
    assert sync_index(index, encoder, [docs / "*.pdf"], drop_missing=True).removed == report.missing


def test_a_file_whose_place_a_folder_took_is_gone(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    (docs / "a.pdf").unlink()
    inside = write_pdf(docs / "a.pdf" / "e.pdf", ["e"])
    report = sync_index(index, encoder, [docs])
    assert report.removed == [f"{docs.as_posix()}/a.pdf"]
    assert (report.added, report.failed) == ([inside.as_posix()], [])


@pytest.mark.skipif(os.name != "posix", reason="FIFOs")
def test_a_fifo_fails_by_itself_and_nothing_waits_for_it(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    (docs / "a.pdf").unlink()
    for name in ("a.pdf", "pipe.png", "pipe"):
        os.mkfifo(docs / name)
    report = sync_index(index, encoder, [docs])
    assert [failure.source for failure in report.failed] == [
        f"{docs.as_posix()}/{name}" for name in ("a.pdf", "pipe.png")
    ]
    assert all("a folder or a device" in str(failure.error) for failure in report.failed)
    assert report.removed == [f"{docs.as_posix()}/a.pdf"]
    assert len(report.unchanged) == 3


@pytest.mark.skipif(os.name != "posix", reason="permissions")
@pytest.mark.parametrize("rights", [0o000, 0o111])
def test_a_subfolder_that_cannot_be_listed_is_one_failure_and_its_documents_stay(
    index: DenseIndex, encoder: DenseEncoder, docs: Path, rights: int
) -> None:
    sync_index(index, encoder, [docs])
    write_pdf(docs / "e.pdf", ["e"])
    (docs / "a.pdf").unlink()
    let_nobody_in(docs, Path(index.path))
    (docs / "disk").chmod(rights)
    with as_nobody():
        report = sync_index(index, encoder, [docs])
    (failure,) = report.failed
    assert failure.source == f"{docs}/disk"
    assert "the folder cannot be listed (Permission denied)" in str(failure.error)
    assert report.added == [f"{docs}/e.pdf"]
    assert report.unchanged == [f"{docs}/b.pdf"]
    assert report.removed == [f"{docs}/a.pdf"]
    assert sources(index, docs) == ["b.pdf", "disk/c.pdf", "disk/deep/d.pdf", "e.pdf"]


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_given_folder_that_cannot_be_listed_drops_only_what_the_caller_wants_dropped(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    sync_index(index, encoder, [docs])
    let_nobody_in(docs, Path(index.path))
    docs.chmod(0o000)
    with as_nobody():
        kept = sync_index(index, encoder, [docs])
        dropped = sync_index(index, encoder, [docs], drop_missing=True)
    assert (len(kept.missing), kept.removed, len(kept.failed)) == (4, [], 1)
    assert (dropped.missing, len(dropped.removed), len(dropped.failed)) == ([], 4, 1)


def test_files_without_a_suffix_are_indexed_and_followed(
    index: DenseIndex, encoder: DenseEncoder, docs: Path
) -> None:
    write_pdf(docs / "x.pdf", ["scan"]).rename(docs / "scan")
    write_png(docs / "x.png", "navy").rename(docs / "photo")
    sync_index(index, encoder, [docs])
    assert {"photo", "scan"} <= set(sources(index, docs))
    assert len(sync_index(index, encoder, [docs]).unchanged) == 6
    (docs / "scan").write_text("no document any more")
    report = sync_index(index, encoder, [docs])
    assert report.removed == [f"{docs.as_posix()}/scan"]
    assert [failure.source for failure in report.failed] == report.removed
    assert sync_index(index, encoder, [docs]).failed == []
