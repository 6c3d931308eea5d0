"""Pages for people who contribute, report and release name what is here."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from release.distributions import MAIN, ROOT, THIN
from tests.documents import anchors_of, blocks_of, links_of, place_of_link, prose_of

import vdr_integrations.langchain

PAGES = {
    name: ROOT / name
    for name in (
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        ".github/pull_request_template.md",
        "docs/integrations.md",
        "docs/platforms.md",
        "docs/releasing.md",
        *(f"packages/{package.name}/README.md" for package in THIN),
    )
}
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
CONTRIBUTING = PAGES["CONTRIBUTING.md"].read_text(encoding="utf-8")

page = pytest.mark.parametrize("name", PAGES)


@page
def test_links_lead_to_files_and_headings(name: str) -> None:
    for link in links_of(PAGES[name]):
        place = place_of_link(link, PAGES[name])
        if place is not None:
            file, anchor = place
            assert file.exists(), link
            assert not anchor or anchor in anchors_of(file), link


@page
def test_files_modules_and_targets_that_are_named_exist(name: str) -> None:
    text = PAGES[name].read_text(encoding="utf-8")
    named = re.findall(
        r"`((?:src|tests|docs|benchmarks|release|packages|\.github)/[\w./-]+)`", text
    )
    for path in named:
        assert "NAME" in path or (ROOT / path).exists(), path
    for module in re.findall(r"python -m ((?:benchmarks|release|tests|training)\.\w+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    code = [block.text for block in blocks_of(PAGES[name])]
    code.extend(re.findall(r"`[^`]+`", prose_of(PAGES[name])))
    for target in re.findall(r"\bmake ([a-z][\w-]*)", "\n".join(code)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_folder_of_tests_is_described() -> None:
    (table,) = re.findall(r"^\| folder \|.*?\n\n", CONTRIBUTING, re.MULTILINE | re.DOTALL)
    described = set(re.findall(r"`tests/(\w+)`", table))
    there = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").glob("*/**/*.py")}
    assert described == {folder.parts[0] for folder in there}


def test_names_that_contributors_are_sent_to_are_in_those_files() -> None:
    sent = re.findall(r"`([A-Z_]{5,})`\s+in\s+`([\w./]+)`", CONTRIBUTING)
    assert len(sent) == 3
    for name, path in sent:
        assert re.search(rf"^{name}\b", (ROOT / path).read_text("utf-8"), re.MULTILINE), name


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_form_for_issues_is_one_that_the_forge_can_show(path: Any) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        assert form["blank_issues_enabled"] is False
        return
    assert form.keys() == {"name", "description", "labels", "body"}
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(set(ids)) == len(ids) > 0
    for part in form["body"]:
        assert part["type"] in {"textarea", "input", "markdown"}
        assert part["attributes"]["value" if part["type"] == "markdown" else "label"]
    if path.stem != "feature":
        assert "vdr doctor --json" in path.read_text(encoding="utf-8")


def test_the_rows_for_the_tables_of_langchain_name_what_its_package_exports() -> None:
    (block,) = [block for block in blocks_of(PAGES["docs/integrations.md"]) if block.kind == "yaml"]
    rows = [row for kind in yaml.safe_load(block.text)["python"].values() for row in kind]
    assert {row["name"] for row in rows} < set(vdr_integrations.langchain.__all__)
    assert {row["pypi"] for row in rows} == {"langchain-vdr"}
    for row in rows:
        place = place_of_link(row["docs_url"], PAGES["docs/integrations.md"])
        assert place is not None
        assert place[0].exists()


def test_the_table_of_packages_says_where_each_name_is() -> None:
    text = PAGES["docs/integrations.md"].read_text(encoding="utf-8")
    for package in THIN:
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{package.name}` ")]
        _, _, module, installs, names, _ = row.split("|")
        assert module.strip() == f"`{package.module}`"
        (needed,) = package.described["project"]["dependencies"]
        assert f"`{re.split('[<>=]', needed)[0]}`" in installs
        if package.name != "langchain-vdr":
            told = package.described["tool"]["llamahub"]["class_authors"]
            assert set(told) <= set(re.findall(r"`(\w+)`", names))


def test_the_changelog_is_short_and_its_newest_release_is_the_version() -> None:
    lines = PAGES["CHANGELOG.md"].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 140
    releases = re.findall(r"^## \[(.+?)\]", "\n".join(lines), re.MULTILINE)
    assert releases[0] == "Unreleased"
    assert releases[1:2] in ([], [MAIN.version])
