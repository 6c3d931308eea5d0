"""Refuses a tag that is not the version: ``python -m release.check_tag v0.2.0``."""

from __future__ import annotations

import argparse
import re
import sys

from release.distributions import DISTRIBUTIONS, MAIN, ROOT

__all__ = ["problems"]


def problems(tag: str) -> list[str]:
    """What must be changed before ``tag`` is published."""
    found = [
        f"{one.name} has version {one.version}: python -m release.set_version {tag[1:]}"
        for one in DISTRIBUTIONS
        if f"v{one.version}" != tag
    ]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(
        rf"^## \[{re.escape(MAIN.version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE
    ):
        found.append(f"CHANGELOG.md has no heading '## [{MAIN.version}] - DATE': write it")
    return found


def main() -> None:
    """Exit with 1 and say why, if the tag must not be published."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag", help="such as v0.2.0")
    found = problems(parser.parse_args().tag)
    print("\n".join(found) or "the tag names the version, and the changelog has it")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
