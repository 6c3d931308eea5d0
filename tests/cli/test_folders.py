"""Moved, missing and linked files, as ``vdr index``, ``vdr rm`` and ``vdr show`` treat them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.index.documents import write_pdf
from tests.unprivileged import as_nobody, let_nobody_in

from vdr_integrations.index import DenseIndex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and permissions")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write_pdf(tmp_path / "docs" / f"{name}.pdf", [name])
    return tmp_path / "docs"


@pytest.fixture
def ix(vdr: Callable[..., Result], docs: Path, tmp_path: Path, tiny_checkpoint: Path) -> Path:
    """An index of ``docs``."""
    model = ["--model", tiny_checkpoint, "--max-visual-tokens", 16, "--dimension", 32]
    done = vdr("index", docs, "--index", tmp_path / "ix", *model)
    assert done.exit_code == 0, done.stderr
    return tmp_path / "ix"


def sources(ix: Path) -> list[str]:
    with DenseIndex.open(ix) as index:
        return [one.source for one in index.documents()]


def test_a_moved_document_is_added_and_removed_and_nothing_is_encoded(
    vdr: Callable[..., Result], ix: Path, docs: Path
) -> None:
    (docs / "a.pdf").rename(docs / "z.pdf")
    done = vdr("index", docs, "--index", ix)
    assert done.stdout == "1 added, 0 changed, 1 unchanged, 1 removed; 0 pages encoded\n"
    assert (done.exit_code, done.stderr) == (0, "")


def test_what_may_be_on_a_disk_that_is_not_mounted_stays_and_the_user_is_told_what_to_do(
    vdr: Callable[..., Result], ix: Path, docs: Path
) -> None:
    write_pdf(docs.with_name("c.pdf"), ["c"])
    docs.rename(docs.with_name("drawer"))
    docs.mkdir()
    done = vdr("index", docs, "--index", ix)
    assert done.exit_code == 1
    assert done.stdout == (
        "0 added, 0 changed, 0 unchanged, 0 removed, 2 missing; 0 pages encoded\n"
    )
    *names, advice = done.stderr.splitlines()
    assert names == [f"missing: {docs.as_posix()}/{name}.pdf" for name in "ab"]
    for words in ("the files of 2 documents cannot be found", "Mount the disk", "--drop-missing"):
        assert words in advice
    both = vdr("index", docs, docs.with_name("c.pdf"), "--index", ix, "--json")
    assert both.exit_code == 3
    shown: dict[str, Any] = json.loads(both.stdout)
    assert shown["missing"] == [f"{docs.as_posix()}/{name}.pdf" for name in "ab"]
    assert len(sources(ix)) == 3
    dropped = vdr("index", docs, "--index", ix, "--drop-missing")
    assert (dropped.exit_code, dropped.stderr) == (0, "")
    assert "2 removed;" in dropped.stdout
    assert len(sources(ix)) == 1


def test_many_missing_documents_are_not_all_named(
    vdr: Callable[..., Result], ix: Path, docs: Path
) -> None:
    for number in range(12):
        (docs / f"{number}.pdf").write_bytes((docs / "a.pdf").read_bytes())
    vdr("index", docs, "--index", ix)
    docs.rename(docs.with_name("drawer"))
    done = vdr("index", docs, "--index", ix)
    assert done.exit_code == 1
    assert done.stderr.count("missing: /") == 10
    assert "missing: and 4 more (--json lists all)\n" in done.stderr
    assert "no such file or folder" in done.stderr


def test_a_named_file_that_is_gone_is_an_error_or_is_dropped(
    vdr: Callable[..., Result], ix: Path, docs: Path
) -> None:
    (docs / "a.pdf").unlink()
    done = vdr("index", docs / "a.pdf", "--index", ix)
    assert (done.exit_code, len(sources(ix))) == (1, 2)
    assert "there is no such file or folder" in done.stderr
    assert "the files of 1 document cannot be found" in done.stderr
    done = vdr("index", docs / "a.pdf", "--index", ix, "--drop-missing")
    assert (done.exit_code, done.stderr) == (0, "")
    assert sources(ix) == [f"{docs.as_posix()}/b.pdf"]


def test_a_subfolder_that_cannot_be_listed_is_one_line_and_all_beside_it_is_indexed(
    vdr: Callable[..., Result], ix: Path, docs: Path, tiny_checkpoint: Path
) -> None:
    write_pdf(docs / "locked" / "x.pdf", ["x"])
    write_pdf(docs / "c.pdf", ["c"])
    vdr("index", docs, "--index", ix)
    (docs / "c.pdf").rename(docs / "d.pdf")
    let_nobody_in(docs, ix, tiny_checkpoint)
    (docs / "locked").chmod(0o000)
    with as_nobody():
        done = vdr("index", docs, "--index", ix)
    assert done.exit_code == 3
    assert done.stderr == (
        f"error: {docs}/locked: the folder cannot be listed (Permission denied).\n"
    )
    assert done.stdout.startswith("1 added, 0 changed, 2 unchanged, 1 removed, 1 failed;")
    assert len(sources(ix)) == 4


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_document_is_reached_by_the_name_of_a_link_to_its_file(
    vdr: Callable[..., Result], ix: Path, docs: Path, link: Callable[[Path, Path], None]
) -> None:
    latest = docs.with_name("latest.pdf")
    link(docs / "b.pdf", latest)
    shown = vdr("show", latest, 1, "--index", ix, "--text")
    assert (shown.exit_code, shown.stdout.strip()) == (0, "b")
    done = vdr("rm", latest, "--index", ix, "--yes")
    assert done.exit_code == 0, done.stderr
    assert sources(ix) == [f"{docs.as_posix()}/a.pdf"]
    assert latest.exists()
