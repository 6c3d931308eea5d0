"""``python -m benchmarks.gpu``."""

from __future__ import annotations

import sys

from benchmarks.gpu.options import parsed
from benchmarks.gpu.packages import unpacked


def main() -> int:
    """Unpack what the machine lacks, then import it and run.

    Returns:
        1 if a section failed, else 0.
    """
    options = parsed()
    with unpacked(options.packages):
        from benchmarks.gpu.run import run

        return run(options)


if __name__ == "__main__":
    sys.exit(main())
