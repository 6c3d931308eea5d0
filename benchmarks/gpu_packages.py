"""Makes the archive that ``benchmarks.gpu`` needs on a machine that has only Python and torch.

    python -m benchmarks.gpu_packages [FILE] [--python 3.12] [--without numpy pillow ...]

pip downloads wheels for that machine, which may differ from this one. They are unpacked, files that
the benchmark never reads are left out, and Qwen2's tokenizer is added if it is found. The archive
does not contain torch and CUDA. ``--without`` leaves out packages that the other machine already
has, in a version that transformers accepts.
"""

from __future__ import annotations

import argparse
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gpu.packages import default_archive
from benchmarks.tokenizer import FOLDER, find_qwen2_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["main"]

PACKAGES = (
    "transformers==5.24.0",
    "huggingface-hub",
    "tokenizers",
    "safetensors",
    "numpy",
    "pillow",
    "regex",
    "pyyaml",
    "tqdm",
    "packaging",
    "filelock",
    "fsspec",
    "typing-extensions",
    # huggingface-hub imports its client.
    "httpx2",
    "platformdirs",
    "pymupdf<2",
)
"""What the benchmark imports, beside torch."""

NEVER_IMPORTED = {
    "annotated-doc",
    "annotated-types",
    "click",
    "hf-xet",
    "markdown-it-py",
    "mdurl",
    "pydantic",
    "pydantic-core",
    "pygments",
    "rich",
    "shellingham",
    "typer",
    "typing-inspection",
}
"""What they depend on for command lines and for downloads."""

_LINUX = ("2_28", "2_27", "2_24", "2_17", "2_12", "2_5")
"""glibc's versions that wheels are made for, newest first; pip matches each exactly."""

_LEFT_OUT = ("tests", "f2py", "mupdf-devel", "include")
_LEFT_OUT_ENDINGS = (".pyi", ".pxd", ".h", ".a", ".lib")
_LEFT_OUT_BEGINNINGS = ("pillow.libs/libavif", "PIL/_avif")  # 5 MB for a format of pictures
_MODELS_KEPT = {"auto", "colqwen2", "encoder_decoder", "qwen2", "qwen2_vl"}
"""Of transformers' hundreds: what AutoConfig, AutoTokenizer and Qwen2-VL import."""


def main() -> None:
    """Download, unpack, choose, pack; print the size."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_packages",
        description="Make the archive of what benchmarks.gpu needs beside torch.",
    )
    parser.add_argument(
        "file", type=Path, nargs="?", help="default: where benchmarks.gpu looks for it"
    )
    parser.add_argument("--python", default="3.12", help="of the other machine (default: 3.12)")
    parser.add_argument("--machine", default="x86_64", help="its processor (default: x86_64)")
    parser.add_argument("--without", nargs="*", default=[], metavar="NAME", help="packages it has")
    options = parser.parse_args()
    archive: Path = options.file or default_archive(options.python)
    left_out = NEVER_IMPORTED | {name.lower().replace("_", "-") for name in options.without}
    with tempfile.TemporaryDirectory() as scratch:
        wheels, site = Path(scratch) / "wheels", Path(scratch) / "site"
        download(wheels, python=options.python, machine=options.machine)
        unpack(wheels.glob("*.whl"), site, left_out=left_out)
        tokenizer = find_qwen2_tokenizer()
        if tokenizer is not None:
            shutil.copytree(tokenizer, site / FOLDER)
        pack(site, archive)
    print(
        f"{archive}: {archive.stat().st_size / 1e6:.1f} MB, "
        f"{'with' if tokenizer else 'without'} Qwen2's tokenizer"
    )


def download(folder: Path, *, python: str, machine: str) -> None:
    """Wheels of the packages and of all that they depend on."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python, "--dest", str(folder)]
    for version in _LINUX:
        command += ["--platform", f"manylinux_{version}_{machine}"]
    command += ["--platform", f"manylinux2014_{machine}", "--platform", f"manylinux1_{machine}"]
    subprocess.run([*command, *PACKAGES], check=True)  # noqa: S603  # of constants and options


def unpack(wheels: Iterable[Path], site: Path, *, left_out: set[str]) -> None:
    """The files that may be read, of the packages that are not left out."""
    for wheel in sorted(wheels):
        if wheel.name.split("-")[0].lower().replace("_", "-") in left_out:
            continue
        with zipfile.ZipFile(wheel) as file:
            for name in filter(_is_needed, file.namelist()):
                file.extract(name, site)


def pack(site: Path, archive: Path) -> None:
    """One file, as small as can be: the jumps of machine code compress better as addresses."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 6}]
    unfinished = archive.with_name(f"{archive.name}.part")
    with (
        lzma.open(unfinished, "wb", filters=filters) as out,
        tarfile.open(fileobj=out, mode="w") as tar,
    ):
        tar.add(site, arcname=".")
    unfinished.replace(archive)


def _is_needed(name: str) -> bool:
    parts = Path(name).parts
    if name.endswith(_LEFT_OUT_ENDINGS) or name.startswith(_LEFT_OUT_BEGINNINGS):
        return False
    if any(part in _LEFT_OUT for part in parts):
        return False
    if parts[:2] == ("transformers", "models") and len(parts) > 3:
        return parts[2] in _MODELS_KEPT
    return True


if __name__ == "__main__":
    main()
