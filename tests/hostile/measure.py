"""What a hostile file costs today: ``python -m tests.hostile.measure [pattern of names]``.

Each file is opened and drawn in a process that may use 4 GiB of addresses and 60 s of a processor.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["main"]

_ADDRESSES = 4 * 2**30
_CPU_S = 60
_PATIENCE_S = 150

_OPEN = """
import logging, pathlib, sys
from vdr_integrations import open_image, open_pdf
from vdr_integrations.errors import VdrError
from vdr_integrations.pages.document_kind import named_kind
from vdr_integrations.types import PixelBudget
import pymupdf

def say():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])

began, budget, path = say(), PixelBudget(max_visual_tokens=16), pathlib.Path(sys.argv[1])
try:
    if named_kind(path) == "image":
        open_image(path, process_limits=None).render(budget)
        said = "drawn"
    else:
        with open_pdf(path, process_limits=None) as pages:
            said = f"{len(pages)} pages;"
            for page in list(pages)[:3]:
                try:
                    image = page.begin(budget)()
                    colours = " in one colour" if image.image.image.getcolors(1) else ""
                    said += f" drawn{colours}, text {len(image.text)}, {image.warnings};"
                except VdrError as error:
                    said += f" page {type(error).__name__} {str(error.reason)[:90]};"
except VdrError as error:
    said = f"{type(error).__name__}: {str(error.reason)[:120]}"
except MemoryError:
    said = "MemoryError"
print(f"peak +{(say() - began) / 1e6:.2f} GB; {said}")
"""


def _be_limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _cost(path: Path) -> str:
    process = subprocess.Popen(
        [sys.executable, "-c", _OPEN, str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_be_limited,  # noqa: PLW1509  # no thread runs here
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        out, err = process.communicate(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return f"code {process.returncode}; {out.decode().strip()} {err.decode()[-300:].strip()}"


def main() -> None:
    """Measure the cases whose names match the pattern that is given."""
    from tests.hostile.cases import CASES

    pattern = " ".join(sys.argv[1:])
    for case in CASES:
        if re.search(pattern, case.name) is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, case.file_name)
            case.write(path)
            size = path.stat().st_size if path.is_file() else 0
            used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            cost = _cost(path)
            used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
        print(f"{case.name}: {size:,} bytes, {used:.1f} s; {cost}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
