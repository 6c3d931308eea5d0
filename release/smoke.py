"""Installs the wheels in a bare environment, step by step, and uses them as their READMEs say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from release.build import ReleaseError
from release.distributions import DISTRIBUTIONS, MAIN, ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["try_wheels"]

_REPORT = ROOT / "demo" / "documents" / "library-report.en.pdf"
_QUESTION = "How many loans did the library count?"


@dataclass(frozen=True, kw_only=True)
class _Step:
    install: str
    """One of the distributions, perhaps with extras."""
    absent: tuple[str, ...] = ()
    """What is not installed by then, since nothing asked for it."""
    shows: bool = True
    """Whether the example of its README needs nothing else."""


_STEPS = (
    _Step(install="langchain-vdr", absent=("llama_index", "pymupdf"), shows=False),
    _Step(install="llama-index-embeddings-vdr", absent=("pymupdf",)),
    _Step(install="langchain-vdr[pdf]", absent=("qdrant_client", "mcp")),
    _Step(install="llama-index-readers-vdr"),
    _Step(install="llama-index-retrievers-vdr"),
    _Step(install="llama-index-postprocessor-vdr"),
)

_IMPORTS = """
import importlib, sys
from importlib.util import find_spec
name, *absent = sys.argv[1:]
module = importlib.import_module(name)
heavy = {"torch", "transformers", "pymupdf"} & sys.modules.keys()
assert not heavy, f"importing {name} imports {heavy}"
there = [other for other in absent if find_spec(other)]
assert not there, f"{name} brings {there}"
print(*(one for one in module.__all__ if getattr(module, one) is not None))
"""

_EXAMPLE = """
import pathlib, re, sys
text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
(block,) = re.findall(r"^```python\\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
exec(compile(block, sys.argv[1], "exec"), {"__name__": "__main__"})
"""


class _Environment:
    """A bare virtual environment, and an empty folder to work in."""

    def __init__(self, folder: Path, *, dist: Path) -> None:
        self._dist = dist
        self._bin = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
        self.work = folder / "work"
        self.work.mkdir()
        shutil.copy(_REPORT, self.work / "report.pdf")
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        offline = {"HF_HUB_OFFLINE": "1", "VDR_PAGE_STORE": str(folder / "page-store")}
        self._variables = kept | offline
        self._run([sys.executable, "-m", "venv", str(folder / "venv")])
        self.python("-m", "pip", "install", "--quiet", "--upgrade", "pip")

    def install(self, *requirements: str) -> None:
        self.python("-m", "pip", "install", "--quiet", *requirements)

    def install_wheel(self, requirement: str) -> None:
        """Install one of ours; what it needs of ours comes from the same folder."""
        name, _, extras = requirement.partition("[")
        wheels = {one.name: str(one.wheel(self._dist)) for one in DISTRIBUTIONS}
        named = f"{wheels[name]}[{extras}" if extras else wheels[name]
        self.install(named, *([] if name == MAIN.name else [wheels[MAIN.name]]))

    def python(self, *arguments: str) -> str:
        return self._run([str(self._bin / "python"), "-I", *arguments])

    def vdr(self, *arguments: str) -> str:
        return self._run([str(self._bin / "vdr"), *arguments])

    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.work,
            env=self._variables,
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        if done.returncode != 0:
            raise ReleaseError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
        return done.stdout


def try_wheels(dist: Path, *, torch: Sequence[str]) -> None:
    """Install the wheels of ``dist`` and use them.

    Args:
        dist: Folder with the wheels of all distributions.
        torch: What pip installs as torch, with its options.

    Raises:
        ReleaseError: Something cannot be installed, or does not do what its README says.
    """
    with tempfile.TemporaryDirectory() as folder:
        bare = _Environment(Path(folder), dist=dist)
        bare.install(*torch)
        print(f"installed {' '.join(torch)} in a bare environment")
        for step in _STEPS:
            _take(step, bare)
        _use_commands(bare)


def _take(step: _Step, bare: _Environment) -> None:
    bare.install_wheel(step.install)
    (distribution,) = [one for one in DISTRIBUTIONS if one.name == step.install.partition("[")[0]]
    names = bare.python("-W", "error", "-c", _IMPORTS, distribution.module, *step.absent).split()
    print(f"{step.install}: {', '.join(names)}", end="")
    if step.absent:
        print(f"; without {', '.join(step.absent)}", end="")
    if not step.shows:
        print()
        return
    shown = bare.python("-W", "error", "-c", _EXAMPLE, str(distribution.folder / "README.md"))
    if not shown.strip():
        raise ReleaseError(f"the example of {distribution.name} shows nothing")
    print("; the example of its README shows:\n" + shown.rstrip())


def _use_commands(bare: _Environment) -> None:
    bare.install_wheel(f"{MAIN.name}[all]")
    bare.python("-m", "pip", "check")
    place = bare.python("-c", "import vdr_integrations as it; print(it.__version__, it.__file__)")
    version, _, file = place.strip().partition(" ")
    if version != MAIN.version or "site-packages" not in file:
        raise ReleaseError(f"version {version} of {file} was imported, and not the wheel")
    if "search" not in bare.vdr("--help"):
        raise ReleaseError("vdr --help does not name the command search")
    print(f"{MAIN.name}[all] {version}: pip check and vdr --help are good")
    for index, model in (("dense", "nano"), ("late", "nano-colqwen2")):
        kind = ["--late-interaction"] if index == "late" else []
        bare.vdr("index", "report.pdf", "--index", index, "--model", model, *kind)
        found = json.loads(bare.vdr("search", _QUESTION, "--index", index, "-k", "1", "--json"))
        print(f"vdr search, {model}: {json.dumps(found)[:200]}")
