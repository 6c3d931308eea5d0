"""Documents that are fetched from URLs while they are indexed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import pytest
from tests.pdfs import write_pdf

from vdr_integrations import DenseEncoder
from vdr_integrations.index import DenseIndex
from vdr_integrations.index.sync.fetched_file import FetchedFile
from vdr_integrations.index.sync.remote_survey import survey_urls
from vdr_integrations.index.sync.source_files import FoundFiles
from vdr_integrations.index.sync.survey import Absence, Survey
from vdr_integrations.index.sync.synchronise import sync_found
from vdr_integrations.pages.remote_documents import RemoteFolder, remote_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from vdr_integrations.index import SyncReport
    from vdr_integrations.index.records import DocumentRecord

URL = "memory://shelf"

pytestmark = pytest.mark.usefixtures("seen_pages")


@pytest.fixture
def put(tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    system = fsspec.filesystem("memory")

    def write(name: str, text: str) -> None:
        path = write_pdf(tmp_path / "made.pdf", [text, "the last page"])
        system.pipe_file(f"/shelf/{name}", path.read_bytes())

    yield write
    if system.exists("/shelf"):
        system.rm("/shelf", recursive=True)


@pytest.fixture
def encoder() -> DenseEncoder:
    return DenseEncoder.load("nano", device="cpu", max_visual_tokens=64)


def folder() -> RemoteFolder:
    found = remote_folder(URL)
    assert found is not None
    return found


def synchronise(index: DenseIndex, encoder: DenseEncoder, copies: Path) -> SyncReport:
    def found(known: Mapping[str, DocumentRecord]) -> FoundFiles:
        remote = survey_urls([folder()], known, drop_missing=False)
        survey = Survey([], [*remote.errors], {}, remote.absent, set())
        files = [
            FetchedFile(one, copies / str(number))
            for number, one in enumerate(remote.found.values())
        ]
        return FoundFiles(survey, files)

    copies.mkdir()
    report = sync_found(index, encoder, found)
    assert list(copies.iterdir()) == []  # no copy stays
    copies.rmdir()
    return report


def test_a_place_is_followed_and_no_copy_stays(
    put: Callable[[str, str], None], encoder: DenseEncoder, tmp_path: Path
) -> None:
    put("a.pdf", "apples")
    put("b.pdf", "pears")
    fsspec.filesystem("memory").pipe_file("/shelf/torn.pdf", b"%PDF-1.7 torn")
    with DenseIndex.create(tmp_path / "index", encoder=encoder) as index:
        report = synchronise(index, encoder, tmp_path / "copies")
        assert report.added == [f"{URL}/a.pdf", f"{URL}/b.pdf"]
        assert [one.source for one in report.failed] == [f"{URL}/torn.pdf"]
        assert report.pages_encoded == 4
        put("a.pdf", "cherries")
        fsspec.filesystem("memory").rm_file("/shelf/torn.pdf")
        fsspec.filesystem("memory").rm_file("/shelf/b.pdf")
        report = synchronise(index, encoder, tmp_path / "copies")
        assert report.changed == [f"{URL}/a.pdf"]
        assert report.removed == [f"{URL}/b.pdf"]
        report = synchronise(index, encoder, tmp_path / "copies")
        assert report.unchanged == [f"{URL}/a.pdf"]
        assert report.pages_encoded == 0
        fsspec.filesystem("memory").rm("/shelf", recursive=True)
        report = synchronise(index, encoder, tmp_path / "copies")
        assert report.missing == [f"{URL}/a.pdf"]
        assert [str(one.error) for one in report.failed] == [
            f"{URL}: it cannot be listed (there is nothing)."
        ]


def test_what_is_not_found_is_gone_only_where_something_else_is(
    put: Callable[[str, str], None],
) -> None:
    known = [f"{URL}/gone.pdf", "memory://other/kept.pdf", "/srv/kept.pdf"]
    nothing = survey_urls([folder()], known, drop_missing=False)
    assert nothing.absent == {f"{URL}/gone.pdf": Absence.LISTED}
    assert len(nothing.errors) == 1
    dropped = survey_urls([folder()], known, drop_missing=True)
    assert dropped.absent == {f"{URL}/gone.pdf": Absence.DROPPED}
    assert dropped.errors == []
    put("a.pdf", "apples")
    found = survey_urls([folder()], known, drop_missing=False)
    assert found.absent == {f"{URL}/gone.pdf": Absence.DROPPED}
    assert list(found.found) == [f"{URL}/a.pdf"]
