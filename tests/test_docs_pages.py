"""docs: every block runs, every link leads somewhere, every page is found from the first one."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from tests import transcripts
from tests.documents import (
    ROOT,
    anchors_of,
    blocks_of,
    furnish,
    github_anchor,
    headings_of,
    links_of,
    place_of_link,
    prose_of,
    site_anchor,
    vdr_lines,
    with_bundled_models,
)
from typer.testing import CliRunner

from vdr_integrations import DenseEncoder, MultiVectorEncoder
from vdr_integrations.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations import PageStore

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "reference" not in path.parts)
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
RUN_ELSEWHERE = {
    "mteb.md": "tests/mteb/test_mteb_document.py",
    "ray.md": "tests/ray_jobs/test_ray_document.py",
    "recipes.md": "tests/test_recipes.py",
    "serving.md": "tests/serve/test_serving_document.py",
    "stores.md": "tests/stores/test_stores_document.py",
}
READ_ONLY = {"", "json", "text", "yaml"}
"""Kinds of blocks that nobody can run."""

NOT_VDR = re.compile(r"(pip install|docker run|hf download|make|python -m vdr_integrations\.mteb) ")
COMMAND = re.compile(r"`(?:taskset -c 0 |OMP_NUM_THREADS=1 )?(?:python -m \w+\.\w+|make \w+)")
RUN_HERE = [
    page
    for page in PAGES
    if page.name not in RUN_ELSEWHERE
    and any(block.kind in {"python", "sh"} for block in blocks_of(page))
]


@pytest.fixture(scope="module", autouse=True)
def _models(seen_pages: None) -> tuple[DenseEncoder, MultiVectorEncoder]:
    """Two models in memory, which all examples share."""
    return DenseEncoder.load("nano"), MultiVectorEncoder.load("nano-colqwen2")


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(furnish(tmp_path / "work"))
    return tmp_path / "work"


@pytest.mark.parametrize("page", RUN_HERE, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs_in_its_order(
    page: Path, reports: Path, page_store: PageStore
) -> None:
    for block in blocks_of(page):
        if block.kind == "python":
            code = compile(with_bundled_models(block.text), page.name, "exec")
            exec(code, {"__name__": "document"})
        elif block.kind == "sh":
            for arguments in vdr_lines(block):
                done = CliRunner().invoke(app, arguments)
                assert done.exit_code == 0, f"{arguments}: {done.stderr}{done.stdout}"


def test_every_block_of_every_page_is_run_by_some_test() -> None:
    for page in PAGES:
        here = page in RUN_HERE
        for block in blocks_of(page):
            if block.kind in READ_ONLY:
                continue
            if block.kind == "console" or block.kind.startswith("python title="):
                assert page in transcripts.DOCUMENTS, f"{page.name}: {block.text}"
            else:
                assert block.kind in {"python", "sh"}, f"{page.name}: {block.kind}"
                assert here or (ROOT / RUN_ELSEWHERE[page.name]).exists()


def test_all_code_is_in_blocks_that_name_its_language() -> None:
    """An indented block looks like code, and no test would run it."""
    for page in [*PAGES, ROOT / "README.md"]:
        indented = re.findall(r"\n\n    \S.*", prose_of(page))
        assert indented == [], page.name


def test_every_line_of_a_shell_block_is_run_or_known() -> None:
    for page in PAGES:
        for block in blocks_of(page):
            if block.kind == "sh":
                for line in block.text.splitlines():
                    known = line.startswith("vdr ") or NOT_VDR.match(line)
                    assert known or not line.strip(), f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in links_of(page):
        if (found := place_of_link(link, page)) is None:
            continue
        place, anchor = found
        assert place.exists(), link
        if anchor:
            assert anchor in anchors_of(place), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_links_to_files_outside_of_the_site_by_their_full_address(page: Path) -> None:
    for link in links_of(page):
        if ":" not in link:
            place = (page.parent / link.partition("#")[0]).resolve()
            assert place.is_relative_to(DOCS), link


def test_every_page_is_reached_from_the_first_one() -> None:
    linked = {
        found[0].resolve()
        for link in links_of(DOCS / "index.md")
        if (found := place_of_link(link, DOCS / "index.md"))
    }
    missing = set(DOCS.rglob("*.md")) - linked - {DOCS / "index.md"}
    assert missing == set()


def test_the_menu_of_the_site_has_every_page() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    listed = re.findall(r"([\w/-]+\.md)$", menu, re.MULTILINE)
    assert sorted(listed) == sorted(
        path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")
    )


def test_a_heading_has_the_same_address_on_github_and_on_the_site() -> None:
    for page in PAGES:
        for heading in headings_of(page):
            assert github_anchor(heading) == site_anchor(heading), f"{page.name}: {heading}"


def test_tests_files_and_commands_that_pages_name_exist() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page, text in TEXTS.items():
        for name in re.findall(r"`(test_\w+)`", text):
            assert f"def {name}(" in tests, f"{page.name}: {name}"
        for path in re.findall(r"`((?:tests|benchmarks|demo|docs)/[\w/]+\.\w+)`", text):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
        for module in re.findall(r"python -m ((?:benchmarks|training)\.\w+)", text):
            assert find_spec(module) is not None, f"{page.name}: {module}"
        for target in re.findall(r"`(?:\w+=\S+ )?make (\w+)`", text):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: {target}"


def test_every_table_of_figures_names_its_machine_and_its_command() -> None:
    """A section of the page of figures that has a table of numbers says how to get them again."""
    text = TEXTS[DOCS / "performance.md"]
    sections = re.split(r"^##+ ", text, flags=re.MULTILINE)[1:]
    figures = [one for one in sections if re.search(r"^\|.*\d\.\d", one, re.MULTILINE)]
    assert len(figures) > 10
    for section in figures:
        words = " ".join(section.split())
        assert COMMAND.search(words), section
        assert "Test machine: " in words or section.startswith("The same vectors"), section
