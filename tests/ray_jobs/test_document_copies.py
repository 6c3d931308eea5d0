"""Copies of documents do not stay on a machine, whatever ends their process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from vdr_integrations.ray_jobs.document_copies import folder_of_copies

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

KILLED = """
import os, sys, tempfile
tempfile.tempdir = sys.argv[1]
from vdr_integrations.ray_jobs.document_copies import folder_of_copies
with folder_of_copies() as folder:
    (folder / "report.pdf").write_bytes(b"%PDF")
    os.kill(os.getpid(), 9)
"""


def test_copies_of_a_killed_process_are_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert ended.returncode == -9
    assert [one.read_bytes() for one in tmp_path.rglob("report.pdf")] == [b"%PDF"]
    with folder_of_copies() as mine:
        assert list(tmp_path.rglob("report.pdf")) == []
        (mine / "report.pdf").write_bytes(b"%PDF")
        with folder_of_copies() as other:
            assert (mine / "report.pdf").exists()
            assert list(other.iterdir()) == []
    assert list(tmp_path.iterdir()) == []
