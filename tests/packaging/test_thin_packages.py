"""Packages under the names that users of the frameworks look for are the same objects."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from release.distributions import MAIN, ROOT, THIN, Distribution
from release.set_version import compatible
from tests.documents import blocks_of, furnish
from tests.isolation.test_each_framework_alone import HEAVY, loaded, run_python
from tests.packaging.thin_packages import FOLDERS, LANGCHAIN, LLAMA_INDEX, reachable

import vdr_integrations.langchain
import vdr_integrations.llama_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.prepared.python import PreparedPython

    from vdr_integrations import PageStore

pytestmark = pytest.mark.usefixtures("seen_pages")

thin = pytest.mark.parametrize("package", THIN, ids=lambda package: package.name)

EXTRAS = {
    "langchain-vdr": "langchain",
    "llama-index-embeddings-vdr": "llama-index",
    "llama-index-readers-vdr": "pdf,llama-index",
    "llama-index-retrievers-vdr": "llama-index",
    "llama-index-postprocessor-vdr": "llama-index",
}


@pytest.fixture(autouse=True)
def _reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in FOLDERS:
        monkeypatch.syspath_prepend(folder)


def imported(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_there_is_a_folder_for_each_of_them() -> None:
    assert {path.name for path in (ROOT / "packages").iterdir()} == {one.name for one in THIN}


@thin
def test_a_package_exports_the_same_objects_and_says_that_it_is_typed(
    package: Distribution,
) -> None:
    module, core = imported(package.module), package.module.partition("_")[0]
    source = {"llama": vdr_integrations.llama_index, "langchain": vdr_integrations.langchain}[core]
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name))
    for name in module.__all__:
        assert getattr(module, name) is getattr(source, name)
    assert (Path(inspect.getfile(module)).parent / "py.typed").exists()


def test_every_name_of_llamaindex_is_in_exactly_one_package() -> None:
    names = Counter(name for module in LLAMA_INDEX for name in imported(module).__all__)
    assert names == Counter(vdr_integrations.llama_index.__all__)


def test_the_package_of_langchain_has_every_name() -> None:
    assert imported(LANGCHAIN).__all__ == vdr_integrations.langchain.__all__


@pytest.mark.parametrize(
    ("modules", "framework", "absent"),
    [
        (LLAMA_INDEX, "llama_index", "langchain_core"),
        ([LANGCHAIN], "langchain_core", "llama_index"),
    ],
    ids=["llama_index", "langchain"],
)
def test_importing_them_imports_no_model_library_and_needs_no_other_framework(
    modules: list[str],
    framework: str,
    absent: str,
    with_framework: Callable[[str], PreparedPython | None],
) -> None:
    code = "".join(f"import {module}\n" for module in modules) + loaded(HEAVY)
    python = with_framework(framework)
    assert run_python(reachable() + code, without=[absent], python=python) == ""


@thin
def test_no_folder_of_the_framework_becomes_a_package_of_ours(package: Distribution) -> None:
    """Otherwise other packages of LlamaIndex could not be imported any more."""
    *above, _ = package.module.split(".")
    folder = package.folder
    for name in above:
        folder /= name
        assert not (folder / "__init__.py").exists()


@thin
def test_a_package_needs_this_one_and_only_the_extras_of_its_part(package: Distribution) -> None:
    extras = EXTRAS[package.name]
    expected = f"{MAIN.name}[{extras}]{compatible(package.version)}"
    assert package.described["project"]["dependencies"] == [expected]
    optional = package.described["project"].get("optional-dependencies", {})
    for extra, needed in optional.items():
        assert needed == [f"{MAIN.name}[{extra}]{compatible(package.version)}"]
    offered = MAIN.described["project"]["optional-dependencies"]
    assert {*extras.split(","), *optional} <= set(offered)


@thin
def test_a_package_says_the_same_as_this_one(package: Distribution) -> None:
    own, main = package.described["project"], MAIN.described["project"]
    for key in ("authors", "classifiers", "license", "license-files", "requires-python", "version"):
        assert own[key] == main[key], key
    for name in ("Homepage", "Documentation", "Issues", "Changelog"):
        assert own["urls"][name] == main["urls"][name]
    assert own["urls"]["Source"] == f"{main['urls']['Source']}/tree/main/packages/{package.name}"
    licence = (package.folder / "LICENSE").read_bytes()
    assert licence == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("package", THIN[1:], ids=lambda package: package.name)
def test_llamahub_is_told_every_class(package: Distribution) -> None:
    told = package.described["tool"]["llamahub"]
    module = imported(package.module)
    classes = {name for name in module.__all__ if inspect.isclass(getattr(module, name))}
    assert told["import_path"] == package.module
    assert told["contains_example"] is True
    assert set(told["class_authors"]) == classes
    assert "llamahub" not in MAIN.described["tool"]  # one truth


@thin
def test_the_example_of_a_readme_shows_pages_as_it_is_written(
    package: Distribution,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    page_store: PageStore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = package.folder / "README.md"
    (block,) = [block for block in blocks_of(readme) if block.kind == "python"]
    assert f"from {package.module} import" in block.text
    monkeypatch.chdir(furnish(tmp_path / "work"))
    exec(compile(block.text, str(readme), "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert "Revenue in 2025" in printed or "report.pdf" in printed


@thin
def test_a_readme_names_the_command_that_installs_it_and_the_licence(
    package: Distribution,
) -> None:
    readme = (package.folder / "README.md").read_text(encoding="utf-8")
    assert f"pip install {package.name}" in readme or f'pip install "{package.name}[' in readme
    assert "Apache-2.0" in readme
    if "pdf" in EXTRAS[package.name] or "optional-dependencies" in package.described["project"]:
        assert "AGPL-3.0" in readme
