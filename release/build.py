"""Builds all distributions, and checks the files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import BytesParser
from typing import TYPE_CHECKING

from release.distributions import DISTRIBUTIONS, MAIN, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from release.distributions import Distribution

__all__ = ["ReleaseError", "build_all", "check_files", "relative_links"]

_LINK = re.compile(
    r"\]\(\s*<?([^)\s>]+)|^\[[^\]]+\]:\s*<?([^\s>]+)|(?:src|href)=[\"']([^\"']+)", re.MULTILINE
)
_ELSEWHERE = re.compile(r"https?://|#|mailto:")
_NANO = "vdr_integrations/encoders/checkpoints/bundled/nano"
_IN_MAIN_WHEEL = (
    "vdr_integrations/py.typed",
    "vdr_integrations/cli/report/assets/report.html.j2",
    "vdr_integrations/look/assets/look.css",
    "vdr_integrations/serve/assets/search_page.html",
    f"{_NANO}/model.safetensors",
    f"{_NANO}/tokenizer.json",
    f"{_NANO}-colqwen2/adapter_model.safetensors",
)
_IN_MAIN_SOURCE = ("tests/conftest.py", "demo/run.py", "packages/langchain-vdr/pyproject.toml")


class ReleaseError(RuntimeError):
    """Something must not be published as it is."""


def build_all(dist: Path) -> None:
    """Put source distributions, and the wheels that are built from them, into ``dist``."""
    shutil.rmtree(dist, ignore_errors=True)
    for distribution in DISTRIBUTIONS:
        _run("build", "--outdir", str(dist), str(distribution.folder))
        for file in (distribution.source(dist), distribution.wheel(dist)):
            print(f"built {file.name} ({file.stat().st_size / 1000:,.0f} kB)")


def check_files(dist: Path) -> None:
    """Refuse files with wrong contents, wrong metadata or a description with dead links.

    Raises:
        ReleaseError: A file is wrong.
    """
    files = [str(file) for file in sorted(dist.iterdir())]
    _run("twine", "check", "--strict", *files)
    print(f"twine check --strict: {len(files)} files are good")
    for distribution in DISTRIBUTIONS:
        _run("check_wheel_contents", "--no-config", str(distribution.wheel(dist)))
        _check_wheel(distribution, dist)
        _check_source(distribution, dist)
    print(f"check-wheel-contents: {len(DISTRIBUTIONS)} wheels are good")
    print("contents: weights of nano, licences, marks of types; no tests in wheels; no dead links")


def relative_links(description: str) -> list[str]:
    """Links of a README that lead nowhere on the page of a package index."""
    links = ["".join(found) for found in _LINK.findall(description)]
    return [link for link in links if not _ELSEWHERE.match(link)]


def _check_wheel(distribution: Distribution, dist: Path) -> None:
    with zipfile.ZipFile(distribution.wheel(dist)) as wheel:
        names = wheel.namelist()
        facts = f"{distribution.file_name}.dist-info"
        metadata = BytesParser().parsebytes(wheel.read(f"{facts}/METADATA"))
    module = distribution.module.replace(".", "/")
    needed = [f"{module}/__init__.py", f"{module}/py.typed", f"{facts}/licenses/LICENSE"]
    if distribution is MAIN:
        needed.extend(_IN_MAIN_WHEEL)
    _expect(distribution, "wheel", names, needed)
    strange = [name for name in names if not name.startswith((f"{module}/", f"{facts}/"))]
    if strange:
        raise ReleaseError(f"the wheel of {distribution.name} holds {strange[:3]}: exclude them")
    links = relative_links(str(metadata.get_payload()))
    if links:
        raise ReleaseError(
            f"the README of {distribution.name} has links that lead nowhere on a package index: "
            f"{links[:3]}; write whole addresses"
        )


def _check_source(distribution: Distribution, dist: Path) -> None:
    with tarfile.open(distribution.source(dist)) as source:
        names = [name.partition("/")[2] for name in source.getnames()]
    needed = ["pyproject.toml", "README.md", "LICENSE"]
    if distribution is MAIN:
        needed.extend(_IN_MAIN_SOURCE)
    _expect(distribution, "source distribution", names, needed)


def _expect(distribution: Distribution, kind: str, names: list[str], needed: list[str]) -> None:
    missing = sorted(set(needed) - set(names))
    if missing:
        raise ReleaseError(f"the {kind} of {distribution.name} lacks {missing}: include them")


def _run(module: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise ReleaseError(f"python -m {module} {' '.join(arguments)}:\n{done.stdout}")
