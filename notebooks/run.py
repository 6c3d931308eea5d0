"""Run the notebooks, and keep each ``.py`` and its ``.ipynb`` in step.

    python -m notebooks.run                      # run all, and compare the pairs
    python -m notebooks.run --write 01_quickstart

People edit the ``.py`` (jupytext's percent format). It is run in a temporary folder that contains a
copy of the demo documents as ``reports/``, with this interpreter and without the user's settings of
Jupyter. The kernel communicates through files of that folder and cannot open any other socket, so
everything runs offline. ``--write`` saves the outputs in the ``.ipynb`` beside it.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from PIL import Image
from traitlets.config import Config

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).resolve().parent
DOCUMENTS = FOLDER.parent / "demo" / "documents"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("[0-9]*.py")))

CELL_SECONDS = 180
MAX_BYTES = 600_000
PICTURE_WIDTH, PICTURE_COLOURS = 800, 64

# PYTHONWARNINGS is for the processes of a kernel: a Python that is prepared has read its own.
_KERNEL = """
import warnings
warnings.simplefilter("ignore")
from pytest_socket import disable_socket
disable_socket(allow_unix_socket=True)
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


class _OneInterpreter(KernelSpecManager):
    """Knows one kernel, of a Python that is named, so no kernel must be installed."""

    def __init__(self, python: Sequence[str]) -> None:
        super().__init__()
        self._python = python

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [*self._python, "-c", _KERNEL, "-f", "{connection_file}", "--log-level=ERROR"]
        return KernelSpec(argv=command, display_name=kernel_name, language="python")


def _kernel_manager(python: Sequence[str]) -> type[AsyncKernelManager]:
    """What starts that kernel; installed kernels are ignored."""

    class KernelManager(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:  # noqa: ANN401  # nbclient's
            super().__init__(
                kernel_spec_manager=_OneInterpreter(python), transport="ipc", **options
            )

    return KernelManager


def source(name: str) -> Any:  # noqa: ANN401  # nbformat's notebooks are untyped
    """The notebook of ``NAME.py``: without outputs, its cells numbered."""
    notebook = jupytext.read(FOLDER / f"{name}.py")
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = nbformat.from_dict({})
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    return notebook


def executed(name: str, *, python: Sequence[str] = (sys.executable,)) -> Any:  # noqa: ANN401  # untyped, like nbformat's
    """The notebook of ``NAME.py`` with its outputs. Its kernel is what ``python`` starts.

    Raises:
        CellExecutionError: A cell failed.
        CellTimeoutError: A cell took longer than ``CELL_SECONDS``.
    """
    notebook = source(name)
    with tempfile.TemporaryDirectory(prefix="vdr-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        (work / "reports").mkdir()
        for document in DOCUMENTS.glob("*.pdf"):
            shutil.copy(document, work / "reports")
        client = NotebookClient(
            notebook,
            kernel_manager_class=_kernel_manager(python),
            config=Config(KernelManager={"connection_file": str(Path(folder) / "kernel.json")}),
            timeout=CELL_SECONDS,
            startup_timeout=CELL_SECONDS,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(work)}},
        )
        client.execute(env=_environment(Path(folder)))
        _tidy(notebook, unwanted=str(work) + os.sep)
    return notebook


def _environment(folder: Path) -> dict[str, str]:
    """The kernel's environment: its own page store, no network, no settings of the user."""
    return os.environ | {
        "HF_HUB_OFFLINE": "1",
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "PYTHONWARNINGS": "ignore",
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
        "VDR_PAGE_STORE": str(folder / "page-store"),
    }


def _tidy(notebook: Any, *, unwanted: str) -> None:  # noqa: ANN401  # untyped, like nbformat's
    """Keep only the parts of each output that belong into a repository.

    Images become small PNGs. Other forms of the same image, addresses of objects and the path of
    the temporary folder are removed.
    """
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = output.text.replace(unwanted, "")
                continue
            data = output.get("data", {})
            if "image/png" in data:
                data.pop("image/jpeg", None)
                data.pop("text/html", None)
                data["image/png"] = _small_png(data["image/png"])
            if "text/plain" in data:
                data["text/plain"] = _ADDRESS.sub("", data["text/plain"]).replace(unwanted, "")


def _small_png(encoded: str) -> str:
    """Base64 of a PNG that is at most ``PICTURE_WIDTH`` wide and has few colours."""
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((PICTURE_WIDTH, 2 * PICTURE_WIDTH))
    few = picture.quantize(PICTURE_COLOURS, dither=Image.Dither.NONE)
    file = io.BytesIO()
    few.save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def out_of_step(name: str) -> list[str]:
    """What is wrong with the saved ``NAME.ipynb``; nothing is run.

    Returns:
        Sentences; an empty list if its cells are those of ``NAME.py``, all ran in order without an
        error, it is smaller than ``MAX_BYTES``, and it contains no path of a machine.
    """
    file = FOLDER / f"{name}.ipynb"
    again = f"run: python -m notebooks.run --write {name}"
    if not file.is_file():
        return [f"{file.name} is missing; {again}"]
    text = file.read_text(encoding="utf-8")
    kept = nbformat.reads(text, as_version=4)
    wrong: list[str] = []
    if _cells(kept) != _cells(source(name)):
        wrong.append(f"{file.name} has other cells than {name}.py; {again}")
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        wrong.append(f"{file.name} was not kept from one run of all cells; {again}")
    if any(output.output_type == "error" for cell in code for output in cell.outputs):
        wrong.append(f"{file.name} keeps an error; {again}")
    if len(text) >= MAX_BYTES:
        wrong.append(f"{file.name} has {len(text):,} bytes, allowed are {MAX_BYTES:,}")
    places = {tempfile.gettempdir(), str(Path.home()), str(FOLDER.parent)} - {"/"}
    wrong += [f"{file.name} names a folder of a machine" for at in places if f"{at}/" in text]
    return wrong


def _cells(notebook: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # untyped, like nbformat's
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def main(arguments: list[str] | None = None) -> int:
    """Run the named notebooks; the exit status is 1 if a pair is out of step."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; or all")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="save the outputs in NAME.ipynb")
    what.add_argument("--check", action="store_true", help="only look (the default)")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no notebook is called {', '.join(sorted(unknown))}")
    wrong: list[str] = []
    for name in options.names or NAMES:
        started = time.monotonic()
        notebook = executed(name)
        if options.write:
            nbformat.write(notebook, FOLDER / f"{name}.ipynb")
        print(f"{name}: ran in {time.monotonic() - started:.0f} s")
        wrong += out_of_step(name)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
