"""Run one section after the other; if one fails, the others still run."""

from __future__ import annotations

import gc
import math
import tempfile
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers.utils import logging

from benchmarks.gpu import attention, ceilings, dense, documents, late, shortage
from benchmarks.gpu.bench import Bench
from benchmarks.gpu.clock import Clock
from benchmarks.gpu.memory import DriverMemory
from benchmarks.gpu.models import Models
from benchmarks.gpu.options import SECTIONS
from benchmarks.gpu.report import Report, SkippedError
from benchmarks.gpu.sizes import FULL, TINY
from benchmarks.timing import machine

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from benchmarks.gpu.report import Table

    Section = Callable[[Bench, Table, Clock], None]

__all__ = ["run"]

_RUNS: dict[str, tuple[str, Section]] = {
    "setup": ("Setup: weights on the device", dense.setup),
    "ceilings": ("Ceilings: what the device does at most", ceilings.run),
    "pages": ("Prepared pages by batch size", dense.pages),
    "fidelity": ("Fidelity: cosine to the card on this device", dense.fidelity),
    "queries": ("Queries: time of questions", dense.queries),
    "documents": ("Documents: PDF to vectors", documents.run),
    "shortage": ("Shortage: memory runs out, and the vectors are the same", shortage.run),
    "late": ("Late interaction: ColQwen2", late.run),
    "attention": ("Attention: cuDNN's first, or not", attention.run),
}


def run(options: argparse.Namespace) -> int:
    """Run the sections that are asked for.

    Returns:
        1 if one failed, else 0.
    """
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no CUDA GPU here; --device cpu --tiny runs every section without one")
        return 1
    if device.type == "cuda":  # some of torch's calls want its number
        device = torch.device("cuda", device.index or 0)
        options.device = str(device)
    logging.disable_progress_bar()
    gc.freeze()  # of what was imported nothing is given back: it need not be looked at again
    memory = DriverMemory(device)
    seconds = options.seconds or (math.inf if options.tiny else sum(SECTIONS.values()))
    whole, asked = Clock(seconds), [name for name in SECTIONS if name in options.section]
    with tempfile.TemporaryDirectory(prefix="gpu-weights-") as scratch:
        sizes = TINY if options.tiny else FULL
        models = Models(options, sizes, scratch=Path(scratch), memory=memory)
        report = Report(options.json, facts=_facts(device, models))
        bench = Bench(options, sizes, models, memory, report)
        for n, name in enumerate(asked):
            # Of what is left, as much as it has of the seconds of those still to come.
            part = SECTIONS[name] / sum(SECTIONS[other] for other in asked[n:])
            _section(bench, name, Clock(whole.left * part), is_over=whole.left <= 0)
    print(f"\n{whole.took:.0f} s in all; also in {options.json}")
    return int(report.has_failed)


def _section(bench: Bench, name: str, clock: Clock, *, is_over: bool) -> None:
    title, work = _RUNS[name]
    table = bench.report.table(name, title)
    try:
        if is_over:
            raise SkippedError("the time of all sections was over")  # noqa: TRY301
        work(bench, table, clock)
    except SkippedError as reason:
        table.skipped = str(reason)
    except Exception as error:  # noqa: BLE001  # others may still tell something
        table.error = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    table.seconds = clock.took
    bench.memory.give_back()
    bench.report.save()
    print(table, flush=True)


def _facts(device: torch.device, models: Models) -> dict[str, Any]:
    try:
        pymupdf = version("pymupdf")
    except PackageNotFoundError:
        pymupdf = "missing"
    facts: dict[str, Any] = {
        "machine": machine(),
        "device": str(device),
        "weights": f"{models.dtype}, {models.origin}",
        "tokenizer": "Qwen2's" if models.tokenizer else "one of bytes, longer prompts",
        "pymupdf": pymupdf,
    }
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        capability = ".".join(map(str, torch.cuda.get_device_capability(device)))
        facts["GPU"] = (
            f"{torch.cuda.get_device_name(device)}, capability {capability}, "
            f"{total / 1e9:.1f} GB ({free / 1e9:.1f} free), CUDA {torch.version.cuda}, "
            f"cuDNN {torch.backends.cudnn.version()}"
        )
    return facts
