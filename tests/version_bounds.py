"""The lower bounds of pyproject.toml, beside what is installed.

    python -m tests.version_bounds

fails if a package is installed in another version than the lowest that pyproject.toml allows.
``make test-lowest`` runs it first. torch may be newer: see the Makefile.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

__all__ = ["NOT_HERE", "lower_bounds"]

_PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
_NEWER = ("torch",)
_OWN = "vdr-integrations"

NOT_HERE = ("flash-attn", "mteb", "ray", "s3fs")
"""Packages of extras that ``all`` leaves out."""


def lower_bounds() -> dict[str, tuple[Requirement, Version]]:
    """What the package and its extras need here, each with the lowest version that is allowed."""
    project = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]
    lists: list[list[str]] = [project["dependencies"], *project["optional-dependencies"].values()]
    needed = [Requirement(text) for one in lists for text in one]
    return {
        one.name: (one, next(Version(s.version) for s in one.specifier if s.operator == ">="))
        for one in needed
        if one.name != _OWN
    }


def _main() -> None:
    wrong = [
        f"{name}: {found} is installed, the lowest allowed is {lowest}"
        for name, (needed, lowest) in lower_bounds().items()
        if name not in (*_NEWER, *NOT_HERE)
        and (needed.marker is None or needed.marker.evaluate())
        and (found := Version(version(name))) != lowest
    ]
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    _main()
