"""Names of documents and folders that look like patterns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.pdfs import write_pdf

from vdr_integrations.cli.options.document_names import matching
from vdr_integrations.pages import find_documents

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

SMALL = ("--model", "nano", "--max-visual-tokens", "16")


@pytest.fixture
def indexed(vdr: Callable[..., Result], tmp_path: Path) -> Path:
    """The index of a folder with brackets in its name, and of its twin."""
    for folder in ("docs [old]", "docs o"):
        for name in ("report [v2].pdf", "report 2.pdf"):
            write_pdf(tmp_path / folder / name, [f"{folder} {name}"])
    found = vdr("index", tmp_path / "docs*", "--index", tmp_path / "ix", *SMALL)
    assert found.exit_code == 0, found.stderr
    return tmp_path / "ix"


def removed(vdr: Callable[..., Result], index: Path, pattern: object) -> list[str]:
    done = vdr("rm", pattern, "--index", index, "--yes", "--json")
    names = [Path(one) for one in json.loads(done.stdout)["removed"]]
    return sorted(f"{one.parent.name}/{one.name}" for one in names)


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("report [v2].pdf", ["docs [old]/report [v2].pdf", "docs o/report [v2].pdf"]),
        ("report [0-9].pdf", ["docs [old]/report 2.pdf", "docs o/report 2.pdf"]),
        ("{root}/docs [old]/report [v2].pdf", ["docs [old]/report [v2].pdf"]),
        ("{root}/docs [old]/*2.pdf", ["docs [old]/report 2.pdf"]),
        ("{root}/docs [old]", ["docs [old]/report 2.pdf", "docs [old]/report [v2].pdf"]),
        ("{root}/docs [o]/report 2.pdf", ["docs o/report 2.pdf"]),
    ],
)
def test_a_name_is_a_name_before_it_is_a_pattern(
    vdr: Callable[..., Result], indexed: Path, pattern: str, gone: list[str]
) -> None:
    assert removed(vdr, indexed, pattern.format(root=indexed.parent)) == gone


def test_a_folder_with_brackets_begins_a_pattern(vdr: Callable[..., Result], indexed: Path) -> None:
    root = indexed.parent
    found = find_documents(root / "docs [old]" / "*2.pdf")
    assert [one.parent.name for one in found] == ["docs [old]"]
    (root / "docs [old]" / "report 2.pdf").unlink()
    done = vdr("index", root / "docs [old]" / "*.pdf", "--index", indexed, "--json")
    assert json.loads(done.stdout)["removed"] == [str(root / "docs [old]" / "report 2.pdf")]


def test_a_document_that_is_not_a_file_is_named_as_it_is() -> None:
    sources = ["page-[1]", "page-1"]
    assert matching("page-[1]", sources) == ["page-[1]"]
    assert matching("page-[0-9]", sources) == ["page-1"]
