"""How long a search takes in a new process, beside ``import torch`` alone.

    python -m benchmarks.cold_start [--runs 9] [--before FOLDER]

``vdr search`` in a small index, with both bundled models. ``--before`` names the folder of another
version of the package (its ``src``), to compare with. Runs are interleaved: each round is an
``import torch``, then each search. The figures are medians of seconds, and of the ratios to
``import torch`` of the same round, which other work on the machine changes least. CPU time is user
and system time of the process and its children. Bytecode is kept, as in an installed package.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.sample_pages import DOCUMENTS
from benchmarks.timing import machine

_SOURCE = Path(__file__).resolve().parent.parent / "src"
_MODELS = ("nano", "nano-colqwen2")
_VDR = ("-m", "vdr_integrations")


class Seconds(NamedTuple):
    """Of a process."""

    cpu: float
    wall: float


def seconds(*arguments: object, source: Path, bytecode: Path) -> Seconds:
    """Run Python with a version of the package."""
    known = {"HF_HUB_OFFLINE": "1", "PYTHONPYCACHEPREFIX": str(bytecode)}
    left_out = {"PYTHONDONTWRITEBYTECODE"}
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    before, start = _children_cpu(), time.perf_counter()
    subprocess.run(  # noqa: S603  # ourselves
        [sys.executable, *map(str, arguments)],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**environment, **known, "PYTHONPATH": str(source)},
    )
    return Seconds(_children_cpu() - before, time.perf_counter() - start)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--before", type=Path, help="src folder of another version")
    options = parser.parse_args()
    versions = {"now": _SOURCE} | ({"before": options.before} if options.before else {})
    with tempfile.TemporaryDirectory() as scratch:
        bytecode = Path(scratch, "bytecode")

        def run(*arguments: object, source: Path = _SOURCE) -> Seconds:
            return seconds(*arguments, source=source, bytecode=bytecode)

        document = next(DOCUMENTS.glob("*.pdf"))
        for model in _MODELS:
            kind = [] if model == "nano" else ["--late-interaction"]
            place = ["--index", Path(scratch, model)]
            run(*_VDR, "index", document, *place, "--model", model, *kind)
        cases = {
            (model, version): (*_VDR, "search", "parking permits", "--index", Path(scratch, model))
            for model in _MODELS
            for version in versions
        }
        torch_alone: list[Seconds] = []
        found: dict[tuple[str, str], list[Seconds]] = {case: [] for case in cases}
        for n in range(options.runs + 1):
            alone = run("-c", "import torch")
            each = {
                case: run(*arguments, source=versions[case[1]]) for case, arguments in cases.items()
            }
            if n == 0:
                continue  # writes bytecode
            torch_alone.append(alone)
            for case, one in each.items():
                found[case].append(one)
    print(machine())
    print(
        f"{'search with':18}{'version':9}{'CPU s':>10}{'wall s':>10}{'CPU ratio':>10}{'wall':>10}"
    )
    print(f"{'import torch alone':27}{_figures(torch_alone, torch_alone)}")
    for (model, version), each in found.items():
        print(f"{model:18}{version:9}{_figures(each, torch_alone)}")


def _figures(ours: list[Seconds], theirs: list[Seconds]) -> str:
    medians = [statistics.median(one) for one in zip(*ours, strict=True)]
    pairs = list(zip(ours, theirs, strict=True))
    ratios = [statistics.median(own[n] / other[n] for own, other in pairs) for n in (0, 1)]
    return "".join(f"{figure:10.2f}" for figure in (*medians, *ratios))


if __name__ == "__main__":
    main()
