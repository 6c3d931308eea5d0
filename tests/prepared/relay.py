"""``python`` in a shell: passes its arguments and its terminal to a prepared process.

    python -S -m tests.prepared.relay SOCKET -m MODULE ...

It imports nothing of third parties, so that it starts at once. It ends as the program ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.prepared.request import ask, line_of


def main() -> int:
    """Wait for the program; returns its exit status."""
    address, *arguments = sys.argv[1:]
    with ask(
        address,
        arguments,
        (0, 1, 2),
        environment=os.environ,
        folder=str(Path.cwd()),
        new_session=False,
    ) as connection:
        line_of(connection)
        status = int(line_of(connection))
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
