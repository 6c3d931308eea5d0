"""The versions that docs/versions.md names, and those that pyproject.toml allows."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version
from tests.version_bounds import NOT_HERE, lower_bounds

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| `([a-z0-9-]+)` \| ([0-9.]+) \| ([0-9.]+) \|", re.MULTILINE)
BOUNDS = lower_bounds()


@pytest.fixture(scope="module")
def rows() -> dict[str, tuple[str, str]]:
    text = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    return {name: (lowest, newest) for name, lowest, newest in ROW.findall(text)}


def test_the_document_names_every_package_and_the_lowest_version_that_is_allowed(
    rows: dict[str, tuple[str, str]],
) -> None:
    named = {name: Version(lowest) for name, (lowest, _) in rows.items()}
    assert named == {name: lowest for name, (_, lowest) in BOUNDS.items() if name != "flash-attn"}


def test_the_newest_version_that_the_document_names_is_allowed(
    rows: dict[str, tuple[str, str]],
) -> None:
    for name, (_, newest) in rows.items():
        assert BOUNDS[name][0].specifier.contains(newest), name


def test_what_is_installed_is_allowed() -> None:
    for name, (needed, _) in BOUNDS.items():
        if name not in NOT_HERE and (needed.marker is None or needed.marker.evaluate()):
            assert needed.specifier.contains(version(name)), name
