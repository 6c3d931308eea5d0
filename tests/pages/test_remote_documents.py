"""Documents below a URL: what is listed, fetched and refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import fsspec
import pytest

from vdr_integrations.errors import MissingExtraError, OptionError
from vdr_integrations.pages.remote_documents import remote_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "memory://reports"


@pytest.fixture(autouse=True)
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    for name in ("a.pdf", "b/c.PNG", "b/notes.txt", "b/.hidden/d.pdf", ".e.pdf", "f"):
        system.pipe_file(f"/reports/{name}", name.encode())
    yield system
    system.rm("/reports", recursive=True)


def test_pdfs_and_images_are_listed_by_their_urls() -> None:
    folder = remote_folder(f"{URL}/")
    assert folder is not None
    before_ns = time.time_ns()
    found = folder.listed()
    assert [one.source for one in found] == [f"{URL}/a.pdf", f"{URL}/b/c.PNG"]
    assert [one.size_bytes for one in found] == [5, 7]
    assert [one.file_name for one in found] == ["a.pdf", "c.PNG"]
    assert all(0 < one.modified_ns <= before_ns <= one.listed_ns for one in found)
    assert folder.covers(f"{URL}/gone.pdf")
    assert not folder.covers(f"{URL}-of-others/a.pdf")


def test_an_object_is_listed_with_any_suffix_and_fetched(tmp_path: Path) -> None:
    folder = remote_folder(f"{URL}/f")
    assert folder is not None
    (one,) = folder.listed()
    assert one.source == f"{URL}/f"
    one.fetch(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"f"


def test_what_is_not_there_is_told(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    folder = remote_folder(f"{URL}/nowhere")
    assert folder is not None
    with pytest.raises(OSError, match="there is nothing"):
        folder.listed()
    folder = remote_folder(f"{URL}/a.pdf")
    assert folder is not None
    (one,) = folder.listed()
    memory.rm_file("/reports/a.pdf")
    try:
        with pytest.raises(OSError, match="not there any more"):
            one.fetch(tmp_path / "copy")
    finally:
        memory.pipe_file("/reports/a.pdf", b"a")


def test_paths_are_no_urls_and_secrets_are_refused(tmp_path: Path) -> None:
    for given in ("reports", "./s3:/x", tmp_path, f"file://{tmp_path}"):
        assert remote_folder(given) is None
    with pytest.raises(
        OptionError, match=r"the place of documents ftp://\*\*\*@host/x holds a key"
    ):
        remote_folder("ftp://me:secret@host/x")
    with pytest.raises(OptionError, match=r"the place of documents .* has a query"):
        remote_folder("s3://bucket/x?versionId=1")
    unknown = remote_folder("nothing-like-this://x/y")
    assert unknown is not None
    with pytest.raises((OptionError, MissingExtraError), match="the place of documents"):
        unknown.listed()
