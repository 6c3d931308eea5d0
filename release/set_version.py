"""Writes one version wherever a version is written: ``python -m release.set_version 0.2.0``."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from release.distributions import DISTRIBUTIONS, MAIN, ROOT

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FILES", "compatible", "set_version"]

FILES = (
    "src/vdr_integrations/__init__.py",
    *(
        (distribution.folder / "pyproject.toml").relative_to(ROOT).as_posix()
        for distribution in DISTRIBUTIONS
    ),
)
"""Where a version is written."""

_VERSION = re.compile(r"(?P<major>\d+)\.(?P<minor>\d+)\.\d+(?P<before_release>(?:a|b|rc)\d+)?")
_LINE = re.compile(r'^(version|__version__) = ".*"$', re.MULTILINE)
_DEPENDENCY = re.compile(rf"({MAIN.name}\[[\w,-]+\])[<>=][^\"]*")


def compatible(version: str) -> str:
    """Which versions of the main package a thin package of ``version`` works with.

    Until 1.0, each minor version may change the names that are exported.

    Raises:
        ValueError: This is no version.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        raise ValueError(f"version {version!r}: write three numbers, such as 0.2.0 or 0.2.0rc1")
    major, minor = int(found["major"]), int(found["minor"])
    least = version if found["before_release"] else f"{major}.{minor}"
    return f">={least},<{major}.{minor + 1}" if major == 0 else f">={least},<{major + 1}"


def set_version(version: str, *, root: Path = ROOT) -> list[str]:
    """Write ``version`` into the files below ``root``; return which of them changed.

    Raises:
        ValueError: This is no version.
    """
    dependency = compatible(version)
    changed: list[str] = []
    for name in FILES:
        before = (root / name).read_text(encoding="utf-8")
        after = _LINE.sub(rf'\g<1> = "{version}"', before)
        after = _DEPENDENCY.sub(rf"\g<1>{dependency}", after)
        if after != before:
            (root / name).write_text(after, encoding="utf-8")
            changed.append(name)
    return changed


def main() -> None:
    """Set the version that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="such as 0.2.0")
    try:
        changed = set_version(parser.parse_args().version)
    except ValueError as error:
        parser.error(str(error))
    print(*(f"changed {name}" for name in changed), sep="\n")
    print("Now write CHANGELOG.md: see docs/releasing.md.")


if __name__ == "__main__":
    main()
