"""Imports stay light, and each framework works where the other is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.prepared.server import SEEN_PAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.prepared.python import PreparedPython

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORKS = {"langchain": "langchain_core", "llama_index": "llama_index"}
EXTRAS = {"langchain": "langchain", "llama_index": "llama-index"}
HEAVY = ["fitz", "pymupdf", "torch", "transformers"]


def run_python(
    code: str, *, without: Iterable[str] = (), python: PreparedPython | None = None
) -> str:
    """What a fresh interpreter prints that runs ``code`` with some packages blocked.

    ``python`` is one that has imported a framework already, and nothing of this package.
    """
    blocked = f"from tests.blocking import block\nblock({list(without)!r})\n"
    if python is not None:
        fresh = (
            "import sys, warnings\nwarnings.simplefilter('error')\n"
            "assert not any(name.startswith('vdr_integrations') for name in sys.modules)\n"
        )
        environment = {name: value for name, value in os.environ.items() if name != SEEN_PAGES}
        ran = python.run("-c", fresh + blocked + code, env=environment)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", blocked + code],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded(packages: Sequence[str]) -> str:
    """Code that prints which of ``packages`` are imported."""
    return f"\nimport sys\nprint(*(name for name in {list(packages)!r} if name in sys.modules))"


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = [*HEAVY, "numpy", "PIL", "llama_index", "langchain_core"]
    assert run_python("import vdr_integrations" + loaded(heavy)) == ""


def test_every_public_name_of_the_package_is_there(
    with_framework: Callable[[str], PreparedPython | None],
) -> None:
    code = (
        "import vdr_integrations as v\n"
        "print(*(n for n in v.__all__ if getattr(v, n, None) is None or n not in dir(v)))"
    )
    assert run_python(code, without=FRAMEWORKS.values(), python=with_framework("torch")) == ""


@pytest.mark.parametrize("adapter", FRAMEWORKS)
def test_importing_an_adapter_imports_no_model_library(
    adapter: str, with_framework: Callable[[str], PreparedPython | None]
) -> None:
    python = with_framework(FRAMEWORKS[adapter])
    assert run_python(f"import vdr_integrations.{adapter}" + loaded(HEAVY), python=python) == ""


@pytest.mark.parametrize("adapter", FRAMEWORKS)
def test_an_adapter_needs_no_other_framework(
    adapter: str, with_framework: Callable[[str], PreparedPython | None]
) -> None:
    others = [package for name, package in FRAMEWORKS.items() if name != adapter]
    code = (
        f"import vdr_integrations.{adapter} as adapter\n"
        "print(*(n for n in adapter.__all__ if getattr(adapter, n, None) is None))"
    )
    python = with_framework(FRAMEWORKS[adapter])
    assert run_python(code + loaded(others), without=others, python=python) == ""


@pytest.mark.parametrize("adapter", FRAMEWORKS)
def test_a_missing_framework_is_named_with_the_command_that_installs_it(adapter: str) -> None:
    code = (
        "from vdr_integrations.errors import MissingExtraError\n"
        "try:\n"
        f"    import vdr_integrations.{adapter}\n"
        "except MissingExtraError as error:\n"
        "    assert isinstance(error, ImportError)\n"
        "    print(error)"
    )
    message = run_python(code, without=[FRAMEWORKS[adapter]])
    assert f'pip install "vdr-integrations[{EXTRAS[adapter]}]"' in message


def test_a_missing_pdf_engine_is_named_with_the_command_that_installs_it() -> None:
    code = (
        "from vdr_integrations import open_pdf\n"
        "from vdr_integrations.errors import MissingExtraError\n"
        "try:\n"
        "    open_pdf(b'%PDF-1.7')\n"
        "except MissingExtraError as error:\n"
        "    print(error)"
    )
    message = run_python(code, without=["pymupdf", "fitz"])
    assert 'pip install "vdr-integrations[pdf]"' in message


def test_missing_mteb_is_named_with_the_command_that_installs_it(
    with_framework: Callable[[str], PreparedPython | None],
) -> None:
    code = (
        "from vdr_integrations.errors import MissingExtraError\n"
        "from vdr_integrations.mteb import mteb_model\n"
        "try:\n"
        "    mteb_model('nano')\n"
        "except MissingExtraError as error:\n"
        "    print(error)"
    )
    message = run_python(code, without=["mteb"], python=with_framework("torch"))
    assert 'pip install "vdr-integrations[mteb]"' in message


def test_missing_ray_is_named_with_the_command_that_installs_it(
    with_framework: Callable[[str], PreparedPython | None],
) -> None:
    code = (
        "from vdr_integrations.errors import MissingExtraError\n"
        "from vdr_integrations.ray_jobs import index_with_ray\n"
        "try:\n"
        "    index_with_ray('index', ['documents'])\n"
        "except MissingExtraError as error:\n"
        "    print(error)"
    )
    message = run_python(code, without=["ray"], python=with_framework("torch"))
    assert 'pip install "vdr-integrations[ray]"' in message


def test_blocking_a_package_that_is_imported_already_is_refused() -> None:
    code = "import json\ntry:\n    block(['json'])\nexcept RuntimeError as error:\n    print(error)"
    assert "json" in run_python(code)
