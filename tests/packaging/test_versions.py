"""One version, wherever it is written; a tag that is published names it."""

from __future__ import annotations

import shutil
import tomllib
from typing import TYPE_CHECKING

import pytest
from release.check_tag import problems
from release.distributions import DISTRIBUTIONS, MAIN, ROOT
from release.set_version import FILES, compatible, set_version

import vdr_integrations

if TYPE_CHECKING:
    from pathlib import Path


def test_all_distributions_have_the_version_of_the_module() -> None:
    assert {one.version for one in DISTRIBUTIONS} == {vdr_integrations.__version__}


def test_one_command_sets_every_version_and_nothing_else(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    assert set_version("7.3.1", root=tmp_path) == list(FILES)
    assert set_version("7.3.1", root=tmp_path) == []
    for name in FILES:
        before = (ROOT / name).read_text(encoding="utf-8").splitlines()
        after = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        assert len(before) == len(after)
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
        assert all(("7.3.1" in new) or (">=7.3,<8" in new) for _, new in changed)
        assert all(MAIN.version in old or MAIN.name in old for old, _ in changed)
    thin = tomllib.loads((tmp_path / "packages/langchain-vdr/pyproject.toml").read_text("utf-8"))
    assert thin["project"]["dependencies"] == ["vdr-integrations[langchain]>=7.3,<8"]


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("0.1.0", ">=0.1,<0.2"),
        ("0.9.12", ">=0.9,<0.10"),
        ("0.2.0rc1", ">=0.2.0rc1,<0.3"),
        ("1.0.0", ">=1.0,<2"),
        ("2.4.0", ">=2.4,<3"),
    ],
)
def test_a_thin_package_works_with_versions_that_export_the_same(version: str, wanted: str) -> None:
    assert compatible(version) == wanted


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.3", "1.2.3-beta", "1.2.3.dev1", "1.2.3\n"])
def test_what_is_no_version_is_refused(version: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="write three numbers"):
        set_version(version, root=tmp_path)


def test_a_tag_of_another_version_is_refused() -> None:
    found = problems("v99.0.0")
    assert sum("python -m release.set_version 99.0.0" in problem for problem in found) == 6
