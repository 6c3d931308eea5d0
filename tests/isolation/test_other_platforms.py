"""Everything works where Python lacks what only Linux, or only POSIX, has."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, get_args

import pymupdf
import pytest
from tests.elsewhere import Platform
from tests.isolation.test_each_framework_alone import ROOT
from tests.prepared.python import PreparedPython

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="this is such a platform, or has no #! lines"
)

REPORT = ROOT / "demo" / "documents" / "library-report.en.pdf"
FIRST = (
    "asyncio multiprocessing socket ssl tempfile filelock huggingface_hub.file_download numpy "
    "PIL.Image langchain_core.vectorstores llama_index.core psutil pymupdf rich.console "
    "safetensors sqlite3 tokenizers torch typer.testing llama_index.core.ingestion "
    "llama_index.core.indices torch.nn.functional jinja2"
)
"""What chooses by the platform when it is imported, and belongs to others."""
PAGES = 2

CHILD = f"""#!{sys.executable} -I
import sys
import numpy, PIL.Image, PIL.TiffImagePlugin, pymupdf
sys.path.insert(0, {str(ROOT)!r})
from tests.elsewhere import pretend
pretend({{platform!r}})
exec(sys.argv[-1])
"""
"""A program in the place of Python, for the processes that open files."""

PUBLIC = """
import importlib, vdr_integrations
names = ["agents", "cli.app", "encoders", "errors", "index", "langchain", "llama_index", "pages",
    "retrieval", "types"]
for name in names:
    module = importlib.import_module("vdr_integrations." + name)
    for one in getattr(module, "__all__", []):
        assert getattr(module, one) is not None, one
"""

INDEXED = """
from typer.testing import CliRunner
from vdr_integrations.cli.app import app

def vdr(*arguments):
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == 0, (arguments, done.output, done.exception)
    return done.stdout

here, late = ("--workers", 0), ("--late-interaction",)
for index, options in ((folder / "dense", here), (folder / "late", late)):
    model = "nano-colqwen2" if options is late else "nano"
    vdr("index", report, "--index", index, "--model", model, *options)
    print(vdr("search", "How many loans?", "--index", index, "-k", 1).splitlines()[0])
for _ in range(2):  # the second one replaces the first
    vdr("search", "loans", "--index", index, "--report", folder / "report.html")
vdr("verify", "--index", index)
vdr("doctor", "--model", "nano")
"""


@pytest.fixture(params=get_args(Platform))
def platform(request: pytest.FixtureRequest) -> Platform:
    return request.param


@pytest.fixture
def child(tmp_path: Path, platform: Platform) -> Path:
    program = tmp_path / "python-elsewhere"
    program.write_text(CHILD.format(platform=platform), encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def with_first() -> Iterator[PreparedPython]:
    """Processes that have imported what belongs to others, and nothing of the package."""
    python = PreparedPython(FIRST.split())
    yield python
    python.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first pages of a report."""
    path = tmp_path_factory.mktemp("documents") / REPORT.name
    with pymupdf.open(REPORT) as document:
        document.select(range(PAGES))
        document.save(path)
    return path


def elsewhere(python: PreparedPython, platform: Platform, code: str) -> str:
    """What a program prints; a warning is an error."""
    done = python.run(
        "-c",
        "import sys, warnings\nwarnings.simplefilter('error')\n"
        "assert not any(name.startswith('vdr_integrations') for name in sys.modules)\n"
        f"from tests.elsewhere import pretend\npretend({platform!r})\n{PUBLIC}\n{code}",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pages_are_indexed_found_and_reported(
    with_first: PreparedPython, platform: Platform, child: Path, report: Path, tmp_path: Path
) -> None:
    """With and without a process that opens files."""
    paths = (
        "import os, pathlib\n"
        f"folder, report = pathlib.Path({str(tmp_path)!r}), {str(report)!r}\n"
        f"os.environ['VDR_PAGE_STORE'] = {str(tmp_path / 'pages')!r}\n"
        f"sys.executable = {str(child)!r}\n"
    )
    printed = elsewhere(with_first, platform, f"{paths}{INDEXED}")
    assert printed.count("library-report.en.pdf") == 2, printed
    assert (tmp_path / "report.html").stat().st_size > 10_000
