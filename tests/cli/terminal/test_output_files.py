"""Files that commands write are whole, or as they were before."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.cli.menus import QUESTION, index_menus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


@pytest.mark.parametrize("command", OUTPUTS.values(), ids=OUTPUTS)
def test_a_file_that_cannot_be_written_to_the_end_stays_as_it_was(
    command: tuple[str, ...], menus: Path, tmp_path: Path, page_store: PageStore
) -> None:
    """The system allows this process files of one KiB, as if the disk were full."""
    out = tmp_path / "out"
    out.write_bytes(OLD)
    vdr = [sys.executable, "-m", "vdr_integrations", *command, str(out)]
    done = subprocess.run(
        [*vdr, "--index", str(menus / "ix")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
    )
    assert done.returncode == 1, done.stderr
    assert "error: " in done.stderr
    assert out.read_bytes() == OLD
    assert list(tmp_path.glob(".vdr-*")) == []


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
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
