"""Builds what is published, checks it, installs it and uses it: ``python -m release.check``.

The files that were checked are in ``dist``. Nothing is uploaded.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from release.build import ReleaseError, build_all, check_files
from release.distributions import ROOT
from release.smoke import try_wheels


def main() -> None:
    """Check a release, or say what is wrong and exit with 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--torch",
        default="torch",
        metavar="REQUIREMENT",
        help='what pip installs as torch, with its options: "torch --index-url https://..."',
    )
    parser.add_argument("--dist", default=ROOT / "dist", type=Path, help="emptied, then filled")
    options = parser.parse_args()
    dist: Path = options.dist.resolve()
    try:
        build_all(dist)
        check_files(dist)
        try_wheels(dist, torch=shlex.split(options.torch))
    except ReleaseError as error:
        sys.exit(f"not ready: {error}")
    print(f"ready: the files are in {dist}")


if __name__ == "__main__":
    main()
