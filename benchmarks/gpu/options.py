"""The command line, which must be read before torch is imported."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

__all__ = ["SECTIONS", "parsed"]

SECTIONS = {
    "setup": 50,
    "ceilings": 10,
    "pages": 60,
    "fidelity": 20,
    "queries": 20,
    "documents": 40,
    "shortage": 20,
    "late": 40,
    "attention": 45,
}
"""In the order they run, with the seconds of each: 305 in all, so that with unpacking and imports
a run ends within 6 minutes. Only ``setup`` cannot be cut short; what is left goes to the others."""


def parsed() -> argparse.Namespace:
    """Options of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description="What the package does on a GPU, beside the model card's own way.",
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, cpu (default: cuda)")
    parser.add_argument(
        "--tiny", action="store_true", help="a tiny model and little of everything: a dry run"
    )
    parser.add_argument("--dtype", help="of the weights (default: bfloat16; float32 on a CPU)")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="a folder with real weights; without it, random ones of the 2B configuration",
    )
    parser.add_argument(
        "--tokenizer",
        type=Path,
        help="folder with Qwen2's tokenizer.json (default: where it is found, else one of bytes)",
    )
    parser.add_argument(
        "--packages",
        type=Path,
        help="archive of benchmarks.gpu_packages (default: its own default, if it is there)",
    )
    parser.add_argument(
        "--section",
        nargs="+",
        choices=list(SECTIONS),
        default=list(SECTIONS),
        metavar="NAME",
        help=f"only these of {', '.join(SECTIONS)}",
    )
    parser.add_argument("--ours-only", action="store_true", help="leave the card's way out")
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"for all sections together (default: {sum(SECTIONS.values())}; no limit if tiny)",
    )
    out = Path(os.environ.get("OUT", "."))
    parser.add_argument("--json", type=Path, default=out / "gpu-results.json", metavar="FILE")
    return parser.parse_args()
