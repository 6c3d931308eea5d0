"""docs/architecture.md names files, folders and layers as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "vdr_integrations"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAME = re.compile(r"`([\w./-]+)`")
LEAST_ROWS = 25


def section(title: str) -> str:
    """The text below a heading of the second level."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table, without its heading."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_layers_are_those_of_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    drawn = section("Layers").split("```text\n")[1].split("```")[0]
    shown = [re.split(r"\s{2,}", line)[0] for line in drawn.splitlines()]
    assert shown == [layer.replace("vdr_integrations.", "") for layer in layers]


def test_every_package_folder_is_named_beside_its_parent() -> None:
    named = {
        folder: {Path(part).name for part in NAME.findall(parts)}
        for folders, parts in rows(section("Layers"))
        for folder in NAME.findall(folders)
    }
    found = {folder.name: packages_in(folder) for folder in PACKAGE.iterdir() if is_package(folder)}
    assert named == found


def test_every_path_exists() -> None:
    paths = {name for name in NAME.findall(PAGE) if re.search(r"/|\.(py|j2|toml)$", name)}
    missing = [path for path in sorted(paths) if not exists(path)]
    assert len(paths) > LEAST_ROWS
    assert missing == []


def test_each_row_of_the_last_table_names_files_to_open() -> None:
    table = rows(section("To change X, open Y"))
    assert len(table) >= LEAST_ROWS
    for what, files in table:
        paths = NAME.findall(files)
        assert paths, what
        assert [path for path in paths if not (PACKAGE / path).is_file()] == [], what


def is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def packages_in(folder: Path) -> set[str]:
    return {child.name for child in folder.iterdir() if is_package(child)}


def exists(path: str) -> bool:
    return (PACKAGE / path).exists() or (ROOT / path).exists()
