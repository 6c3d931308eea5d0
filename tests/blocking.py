"""Pytest plugin that runs tests as if packages were not installed.

    python -m pytest -p tests.blocking --without llama_index tests/langchain

``--without`` takes the name of a top-level package and may be given several times. Importing it,
or anything below it, then fails as it does where the package is missing.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["Blocker", "block"]


class Blocker(MetaPathFinder):
    """Finder that answers for the packages it blocks, and leaves all others alone."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = frozenset(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        """Raise what Python raises for a package that is not installed."""
        del path, target
        if fullname.partition(".")[0] in self.packages:
            _refuse(fullname)
        return None


def block(packages: Sequence[str]) -> None:
    """Make importing ``packages`` fail from here on.

    Raises:
        RuntimeError: One of them is imported already: blocking it would prove nothing.
    """
    loaded = sorted(set(packages) & sys.modules.keys())
    if loaded:
        raise RuntimeError(f"cannot block {', '.join(loaded)}: imported before blocking began")
    sys.meta_path.insert(0, Blocker(packages))


def _refuse(fullname: str) -> NoReturn:
    package = fullname.partition(".")[0]
    raise ModuleNotFoundError(f"No module named {package!r} (blocked)", name=package)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--without``."""
    parser.addoption(
        "--without",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="run as if this top-level package were not installed (repeatable)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Block before any conftest or test module is imported."""
    packages: list[str] = early_config.known_args_namespace.without
    try:
        block(packages)
    except RuntimeError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is blocked."""
    packages: list[str] = config.known_args_namespace.without
    return f"without: {', '.join(packages)}" if packages else None
