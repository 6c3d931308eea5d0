"""The command line that the benchmarks share."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.tokenizer import find_qwen2_tokenizer

__all__ = ["arguments"]


def arguments(description: str) -> argparse.Namespace:
    """``--checkpoint``, ``--tokenizer``, ``--layers``, ``--pairs``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="a folder with real weights; without it, random ones of the 2B configuration",
    )
    parser.add_argument(
        "--tokenizer",
        type=Path,
        default=find_qwen2_tokenizer(),
        help="folder with Qwen2's tokenizer.json (default: where it is found, else one of bytes)",
    )
    parser.add_argument(
        "--layers", type=int, help="layers of each tower, for a quick run (default: all)"
    )
    parser.add_argument("--pairs", type=int, default=7)
    return parser.parse_args()
