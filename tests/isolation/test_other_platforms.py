"""Everything works where Python lacks what only Linux, or only POSIX, has."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, get_args

import pytest
from tests.elsewhere import Platform
from tests.isolation.test_each_framework_alone import ROOT, run_python

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="this is such a platform, or has no #! lines"
)

REPORT = ROOT / "demo" / "documents" / "library-report.en.pdf"
FIRST = """
import asyncio, multiprocessing, socket, ssl, tempfile
import filelock, huggingface_hub.file_download, numpy, PIL.Image
import langchain_core.vectorstores, llama_index.core
import psutil, pymupdf, rich.console, safetensors, sqlite3, tokenizers, torch, typer.testing
import llama_index.core.ingestion, llama_index.core.indices, torch.nn.functional, jinja2
"""
"""What chooses by the platform when it is imported, and belongs to others."""

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


def elsewhere(platform: Platform, code: str) -> str:
    return run_python(
        f"{FIRST}\nfrom tests.elsewhere import pretend\npretend({platform!r})\n{PUBLIC}\n{code}"
    )


def test_pages_are_indexed_found_and_reported(
    platform: Platform, child: Path, tmp_path: Path
) -> None:
    """With and without a process that opens files."""
    paths = (
        "import os, pathlib\n"
        f"folder, report = pathlib.Path({str(tmp_path)!r}), {str(REPORT)!r}\n"
        f"os.environ['VDR_PAGE_STORE'] = {str(tmp_path / 'pages')!r}\n"
        f"sys.executable = {str(child)!r}\n"
    )
    printed = elsewhere(platform, f"import sys\n{paths}{INDEXED}")
    assert printed.count("library-report.en.pdf") == 2, printed
    assert (tmp_path / "report.html").stat().st_size > 10_000
