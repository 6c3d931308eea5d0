"""The package from outside."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

import vdr_integrations

ROOT = Path(__file__).resolve().parent.parent


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert vdr_integrations.__version__ == project["version"]


@pytest.mark.parametrize(
    "module",
    [
        "vdr_integrations",
        "vdr_integrations.encoders",
        "vdr_integrations.errors",
        "vdr_integrations.index",
        "vdr_integrations.langchain",
        "vdr_integrations.llama_index",
        "vdr_integrations.pages",
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


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_encodr'"):
        _ = vdr_integrations.load_encodr  # pyright: ignore[reportAttributeAccessIssue]
