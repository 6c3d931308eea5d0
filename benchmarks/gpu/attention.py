"""With and without cuDNN's attention: the same work in a second process that does not prefer it.

On Hopper torch puts cuDNN's attention before its own, unless TORCH_CUDNN_SDPA_DEPRIORITIZED is set
when it first asks.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.gpu.report import SkippedError

if TYPE_CHECKING:
    from benchmarks.gpu.bench import Bench
    from benchmarks.gpu.clock import Clock
    from benchmarks.gpu.report import Table

__all__ = ["run"]

_VARIABLE = "TORCH_CUDNN_SDPA_DEPRIORITIZED"
_COMPARED = {"pages": "pages_per_s", "queries": "p50_ms"}
_START_S = 30.0
"""For the other process to import torch and load the weights, which are in the page cache."""


def run(bench: Bench, table: Table, clock: Clock) -> None:
    """A row for each that both processes measured: ours, as it is and without cuDNN first."""
    if os.environ.get(_VARIABLE, "0") not in {"", "0"}:
        raise SkippedError(f"{_VARIABLE} is set for the whole run")
    mine = {name: bench.report.rows(name) for name in _COMPARED}
    if not any(mine.values()):
        raise SkippedError(f"needs {' or '.join(_COMPARED)} in the same run")
    bench.models.free("ours")
    with tempfile.TemporaryDirectory() as scratch:
        theirs = _elsewhere(bench, Path(scratch) / "found.json", clock)
    for name, figure in _COMPARED.items():
        ours = [row for row in mine[name] if row["way"] == "ours"]
        for row, other in zip(ours, theirs[name]["rows"], strict=False):
            table.row(
                what=f"{row[name]} {name}",
                figure=figure.replace("_", " "),
                as_torch_chooses=row[figure],
                without_cudnn_first=other[figure],
                ratio=other[figure] / row[figure],
            )
    table.note(f"The right one: a process of its own with {_VARIABLE}=1, the same weights.")


def _elsewhere(bench: Bench, file: Path, clock: Clock) -> dict[str, Any]:
    """The sections as another process found them."""
    options = bench.options
    command = [sys.executable, "-m", "benchmarks.gpu", "--ours-only", "--json", str(file)]
    command += ["--section", *_COMPARED, "--checkpoint", str(bench.models.folder)]
    command += ["--device", options.device, "--dtype", str(bench.models.dtype).split(".")[1]]
    if options.tiny:
        command.append("--tiny")
    else:
        command += ["--seconds", f"{max(5.0, clock.left - _START_S):.0f}"]
    done = subprocess.run(  # noqa: S603  # this very program
        command,
        env={**os.environ, _VARIABLE: "1"},
        cwd=Path(__file__).resolve().parent.parent.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=None if math.isinf(clock.left) else max(2 * _START_S, clock.left),
    )
    if done.returncode:
        raise RuntimeError(f"the other process ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(file.read_text(encoding="utf-8"))["sections"]
