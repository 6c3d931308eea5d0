"""docs/reference shows every public name, and nothing else."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from tests.public_signatures import MODULES

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
PACKAGE = "vdr_integrations"
PAGES = {
    "agents": "agents.md",
    "defaults": "defaults.md",
    "encoders": "encoders.md",
    "errors": "errors.md",
    "evaluation": "evaluation.md",
    "index": "indexes.md",
    "langchain": "langchain.md",
    "llama_index": "llama_index.md",
    "mteb": "mteb.md",
    "pages": "pages.md",
    "ray_jobs": "ray_jobs.md",
    "retrieval": "retrieval.md",
    "serve": "serve.md",
    "types": "types.md",
}
SHOWN = re.compile(r"^::: (\S+)$", re.MULTILINE)
LINKED = re.compile(r"^\|? ?`(\w+)` (?:\||is) \[([\w.]+)\]\[\]", re.MULTILINE)


def page(module: str) -> str:
    return (REFERENCE / PAGES[module]).read_text(encoding="utf-8")


EVERYWHERE = {shown for module in PAGES for shown in SHOWN.findall(page(module))}


@pytest.mark.parametrize("module", PAGES)
def test_a_page_shows_every_name_of_its_package(module: str) -> None:
    text = page(module)
    shown = SHOWN.findall(text)
    linked = dict(LINKED.findall(text))
    names = importlib.import_module(f"{PACKAGE}.{module}").__all__
    assert {name.removeprefix(f"{PACKAGE}.{module}.") for name in shown} | set(linked) == set(names)
    assert len(shown) + len(linked) == len(names)
    assert set(linked.values()) <= EVERYWHERE


def test_the_first_page_leads_to_every_name_of_the_first_level() -> None:
    linked = dict(LINKED.findall((REFERENCE / "index.md").read_text(encoding="utf-8")))
    first = importlib.import_module(PACKAGE)
    assert set(linked) == set(first.__all__)
    for name, target in linked.items():
        module, _, there = target.rpartition(".")
        assert getattr(importlib.import_module(module), there) is getattr(first, name), name
        assert target in EVERYWHERE


def test_every_public_package_has_a_page() -> None:
    listed = {module.removeprefix(f"{PACKAGE}.") for module in MODULES if module != PACKAGE}
    assert listed | {"errors", "defaults"} == set(PAGES)
    assert set(PAGES.values()) | {"index.md"} == {path.name for path in REFERENCE.glob("*.md")}


def test_the_page_of_errors_draws_the_tree_of_their_module() -> None:
    tree = page("errors").split("```text\n")[1].split("```")[0]
    said = importlib.import_module(f"{PACKAGE}.errors").__doc__ or ""
    assert [line.strip() for line in tree.splitlines()] == [
        line.strip() for line in said.split("\n\n")[1].splitlines()
    ]
