"""What a search imports: only what it needs, as imports are most of the time of a short command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.pdfs import write_pdf
from tests.prepared.python import PreparedPython

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from typer.testing import Result

# torch's own modules are counted from what "import torch" does, which differs between versions.
COUNTED = """
import sys
import torch
before = set(sys.modules)
from vdr_integrations.cli.main import main
sys.argv = ["vdr", *sys.argv[1:]]
try:
    main()
finally:
    new = [name for name in sys.modules if name not in before]
    print("new:", *sorted(name for name in new if not name.startswith("vdr_integrations")))
"""

UNWANTED = {
    "transformers",
    "sympy",
    "huggingface_hub",
    "httpx",
    "httpx2",
    "requests",
    "jinja2",
    "markupsafe",
    "pymupdf",
    "fitz",
    "llama_index",
    "langchain_core",
    "mcp",
    "qdrant_client",
    "peft",
    "scipy",
    "pandas",
}
UNWANTED_OF_TORCH = ("torch._dynamo", "torch._inductor", "torch.distributed", "torch.fx")


@pytest.fixture(scope="module")
def with_torch() -> Iterator[PreparedPython]:
    """Processes that have imported torch, and nothing of the package."""
    python = PreparedPython(["torch"])
    yield python
    python.close()


def imported_by(python: PreparedPython, *arguments: object) -> list[str]:
    """Modules that a command imports and ``import torch`` does not."""
    done = python.run(
        "-c", COUNTED, *map(str, arguments), env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 1, "it printed no result"
    return lines[-1].removeprefix("new:").split()


def unwanted(modules: Sequence[str]) -> list[str]:
    return [
        name
        for name in modules
        if name.partition(".")[0] in UNWANTED or name.startswith(UNWANTED_OF_TORCH)
    ]


@pytest.mark.parametrize(
    ("model", "options"), [("nano", ()), ("nano-colqwen2", ("--late-interaction",))]
)
def test_indexing_and_searching_import_no_framework_and_no_compiler(
    with_torch: PreparedPython, tmp_path: Path, model: str, options: Sequence[str]
) -> None:
    document = write_pdf(tmp_path / "a.pdf", ["lighthouse", "harbour"])
    index = ("--index", tmp_path / "ix", "--device", "cpu")
    indexed = imported_by(with_torch, "index", document, *index, "--model", model, *options)
    found = imported_by(with_torch, "search", "lighthouse", *index)
    assert {"tokenizers", "safetensors", "vdr_integrations"} - set(found) == {"vdr_integrations"}
    assert unwanted(indexed) == unwanted(found) == []


def test_what_is_unwanted_is_recognised(
    with_torch: PreparedPython, vdr: Callable[..., Result], tmp_path: Path
) -> None:
    """Else the test above could pass with everything imported."""
    index = ("--index", tmp_path / "ix", "--device", "cpu")
    document = write_pdf(tmp_path / "a.pdf", ["lighthouse"])
    assert vdr("index", document, *index, "--model", "nano").exit_code == 0
    found = imported_by(with_torch, "search", "lighthouse", *index, "--report", tmp_path / "r.html")
    assert "jinja2" in unwanted(found)
