"""Every example in a docstring runs and shows what it says, with the bundled checkpoints."""

from __future__ import annotations

import ast
import doctest
import importlib
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
CORE = ("encoders", "index", "pages", "types")
FRAMEWORKS = ("langchain", "llama_index")
REPORT = ROOT / "demo" / "documents" / "wine-report.it.pdf"


class Docstring(NamedTuple):
    """A docstring that holds examples."""

    module: str
    name: str
    text: str

    @property
    def examples(self) -> list[doctest.Example]:
        return doctest.DocTestParser().get_examples(self.text)

    @property
    def runs(self) -> bool:
        return not all(doctest.SKIP in example.options for example in self.examples)


def docstrings(package: str) -> list[Docstring]:
    """Docstrings with examples, found without importing anything."""
    found: list[Docstring] = []
    for path in sorted((SOURCE / "vdr_integrations" / package).rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [Docstring(module, name, text) for name, text in documented(tree) if ">>>" in text]
    return found


def documented(node: ast.AST, owner: str = "") -> list[tuple[str, str]]:
    """Names and docstrings of a module and of all classes and functions in it."""
    found: list[tuple[str, str]] = []
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        name = "" if isinstance(node, ast.Module) else node.name
        owner = f"{owner}.{name}" if owner else name
        found.append((owner, ast.get_docstring(node) or ""))
    for child in ast.iter_child_nodes(node):
        found += documented(child, owner)
    return found


ALL = [one for package in (*CORE, *FRAMEWORKS) for one in docstrings(package)]
RUN = [one for one in ALL if one.runs]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, seen_pages: None) -> Path:
    """A folder with what examples name: ``report.pdf``, ``my-index``, and a page store."""
    from vdr_integrations import MultiVectorEncoder
    from vdr_integrations.index import LateInteractionIndex, sync_index

    folder = tmp_path_factory.mktemp("workshop")
    shutil.copy(REPORT, folder / "report.pdf")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("VDR_PAGE_STORE", str(folder / "page-store"))
        encoder = MultiVectorEncoder.load("nano-colqwen2")
        with LateInteractionIndex.create("my-index", encoder=encoder) as index:
            sync_index(index, encoder, ["report.pdf"])
    return folder


@pytest.fixture
def working_folder(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, for one docstring."""
    folder = tmp_path / "work"
    shutil.copytree(workshop, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VDR_PAGE_STORE", str(folder / "page-store"))
    return folder


@pytest.mark.parametrize("docstring", RUN, ids=lambda one: f"{one.module}.{one.name}")
def test_an_example_shows_what_it_says(docstring: Docstring, working_folder: Path) -> None:
    names = dict(vars(importlib.import_module(docstring.module)))
    test = doctest.DocTestParser().get_doctest(docstring.text, names, docstring.name, None, None)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    result = runner.run(test, out=said.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(said)


def test_no_example_of_the_core_is_skipped() -> None:
    core = [one for one in ALL if one.module.split(".")[1] in CORE]
    skipped = [one.name for one in core for e in one.examples if doctest.SKIP in e.options]
    assert skipped == []


def test_each_way_to_vectors_has_an_example() -> None:
    names = {one.name for one in RUN}
    wanted = {"DenseEncoder", "MultiVectorEncoder", "load_encoder", "VDREmbedding", "VDREmbeddings"}
    assert wanted <= names
