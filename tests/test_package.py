"""The package from outside."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest
from tests.isolation.test_each_framework_alone import run_python
from tests.public_signatures import LISTED, listing

import vdr_integrations

ROOT = Path(__file__).resolve().parent.parent


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert vdr_integrations.__version__ == project["version"]


@pytest.mark.parametrize(
    "module",
    [
        "vdr_integrations",
        "vdr_integrations.agents",
        "vdr_integrations.encoders",
        "vdr_integrations.errors",
        "vdr_integrations.index",
        "vdr_integrations.langchain",
        "vdr_integrations.llama_index",
        "vdr_integrations.mteb",
        "vdr_integrations.pages",
        "vdr_integrations.ray_jobs",
        "vdr_integrations.retrieval",
        "vdr_integrations.types",
    ],
)
def test_every_public_name_exists_and_names_are_sorted(module: str) -> None:
    loaded = importlib.import_module(module)
    assert sorted(loaded.__all__, key=lambda name: (not name.isupper(), name)) == list(
        loaded.__all__
    )
    for name in loaded.__all__:
        assert getattr(loaded, name) is not None


def test_public_signatures_are_those_that_are_listed() -> None:
    """Look at the difference; if it is meant: python -m tests.public_signatures."""
    assert listing().splitlines() == LISTED.read_text(encoding="utf-8").splitlines()


def test_importing_the_package_takes_no_50_ms() -> None:
    code = (
        "import time; began = time.process_time(); import vdr_integrations; "
        "print(time.process_time() - began)"
    )
    took_s = min(float(run_python(code)) for _ in range(5))
    assert took_s < 0.05


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_encodr'"):
        _ = vdr_integrations.load_encodr  # pyright: ignore[reportAttributeAccessIssue]
