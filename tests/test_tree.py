"""The tree of the package: sizes, names, and who asks which kind an index is."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from tests.thorough_files import THOROUGH

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "vdr_integrations"
FILES = sorted(SOURCE.rglob("*.py"))

TWINS = {
    "index/folder": "index/server",  # one engine each, file by file
    "llama_index": "langchain",  # the same four rooms each
}
"""Folders in which the same name means the same thing, in another place."""

ASKS = {"isinstance", "issubclass"}
KINDS = {"DenseIndex", "LateInteractionIndex"}
MOST_LINES = 500
MOST_ADAPTER_LINES = 3600


def place(file: Path) -> str:
    """Where a file is; twins are in one place."""
    name = file.relative_to(SOURCE).as_posix()
    for folder, twin in TWINS.items():
        name = name.replace(f"{twin}/", f"{folder}/", 1) if name.startswith(twin) else name
    return name


def test_no_name_of_a_file_stands_for_two_things() -> None:
    named = {place(file) for file in FILES if not file.name.startswith("__")}
    names = Counter(name.rpartition("/")[2] for name in named)
    # An engine is asked, of a folder, a server, or several of both; a reranker and a retriever are
    # the frameworks' words.
    assert {name for name, count in names.items() if count > 1} == {"engine.py"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_a_file_has_at_most_500_lines(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_adapters_only_translate() -> None:
    files = [*(SOURCE / "llama_index").rglob("*.py"), *(SOURCE / "langchain").rglob("*.py")]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) <= MOST_ADAPTER_LINES


def test_only_the_index_asks_which_kind_an_index_is() -> None:
    asking: list[str] = []
    for file in FILES:
        if file.is_relative_to(SOURCE / "index"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                "isinstance",
                "issubclass",
            }:
                named = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
                if named & KINDS:
                    asking.append(f"{file.name}: {ast.unparse(node)}")
    assert asking == []


def test_tests_mirror_the_tree() -> None:
    rooms = {file.parent.relative_to(SOURCE).as_posix() for file in FILES} - {"."}
    tested = {
        file.parent.relative_to(ROOT / "tests").as_posix()
        for file in (ROOT / "tests").rglob("test_*.py")
    }
    own = {"hostile", "isolation", "nano", "packaging", "prepared", "stores"}  # of several rooms
    own.add("index/late_interaction")
    assert tested - own - {"."} <= rooms


def test_files_that_are_called_thorough_exist() -> None:
    assert [name for name in sorted(THOROUGH) if not (ROOT / "tests" / name).is_file()] == []
