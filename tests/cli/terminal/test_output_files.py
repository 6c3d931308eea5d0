"""Files that commands write are whole, or as they were before."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.menus import QUESTION, index_menus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.prepared.python import PreparedPython
    from typer.testing import Result

    from vdr_integrations.pages import PageStore

OLD = b"what was there before"
OUTPUTS = {
    "report": ("search", QUESTION, "--report"),
    "heat map": ("heatmap", QUESTION, "--out"),
    "page": ("show", "menu.pdf", "1", "--out"),
}


@pytest.fixture(scope="module")
def menus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_menus(tmp_path_factory.mktemp("menus"))


IN_LITTLE_SPACE = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
"""
"""The system allows files of one KiB, as if the disk were full."""


def test_a_report_that_cannot_be_written_to_the_end_leaves_the_old_one(
    prepared_python: PreparedPython, menus: Path, tmp_path: Path, page_store: PageStore
) -> None:
    out = tmp_path / "out.html"
    out.write_bytes(OLD)
    asked = ["search", QUESTION, "--index", str(menus / "ix"), "--report", str(out)]
    program = "runpy.run_module('vdr_integrations', run_name='__main__', alter_sys=True)"
    done = prepared_python.run("-c", IN_LITTLE_SPACE + program, *asked)
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert out.read_bytes() == OLD
    assert list(tmp_path.glob(".vdr-*")) == []


def test_an_image_that_cannot_be_written_to_the_end_leaves_the_old_one(
    prepared_python: PreparedPython, tmp_path: Path
) -> None:
    out = tmp_path / "out.png"
    out.write_bytes(OLD)
    module = "vdr_integrations.cli.terminal.output_files"
    done = prepared_python.run(
        "-c",
        IN_LITTLE_SPACE + f"import pathlib; from {module} import write_output; "
        f"write_output(bytes(5000), pathlib.Path(sys.argv[1]))",
        str(out),
    )
    assert "File too large" in done.stderr
    assert out.read_bytes() == OLD
    assert list(tmp_path.glob(".vdr-*")) == []


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
@pytest.mark.parametrize("command", OUTPUTS.values(), ids=OUTPUTS)
def test_a_replaced_file_keeps_its_permissions_and_a_link_stays_a_link(
    command: tuple[str, ...],
    vdr: Callable[..., Result],
    menus: Path,
    tmp_path: Path,
    page_store: PageStore,
) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(OLD)
    real.chmod(0o604)
    link.symlink_to(real)
    for out in (link, tmp_path / "new"):
        done = vdr(*command, out, "--index", menus / "ix")
        assert done.exit_code == 0, done.stderr
    assert link.is_symlink()
    assert real.read_bytes()[:4] != OLD[:4]
    assert stat.S_IMODE(real.stat().st_mode) == 0o604
    (tmp_path / "usual").touch()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert vdr(*command, os.devnull, "--index", menus / "ix").exit_code == 0
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
