"""JSON on stdout."""

from __future__ import annotations

import json
import sys

__all__ = ["say_json"]


def say_json(found: object) -> None:
    """One line of JSON, with ASCII escapes if stdout's encoding lacks one of its characters."""
    line = json.dumps(found, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        line = json.dumps(found)
    sys.stdout.write(f"{line}\n")
