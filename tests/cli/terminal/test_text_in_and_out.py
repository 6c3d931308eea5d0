"""Text and streams that are not UTF-8, and readers that close stdout early."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.index.documents import write_pdf
from typer.testing import CliRunner

from vdr_integrations.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

NAME = "\u6771\u4eac \N{PAGE FACING UP}.pdf"


@pytest.fixture(scope="module")
def ix(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    folder = tmp_path_factory.mktemp("text")
    write_pdf(folder / "docs" / NAME, ["apples"])
    model = ["--model", str(tiny_checkpoint), "--max-visual-tokens", "16"]
    done = CliRunner().invoke(
        app, ["index", str(folder / "docs"), "--index", str(folder / "ix"), *model]
    )
    assert done.exit_code == 0, done.stderr
    return folder / "ix"


def vdr(
    *arguments: str | bytes, asked: bytes = b"", stdout: int = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "vdr_integrations", *arguments],
        input=asked,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, **variables},
    )


def test_questions_that_are_not_utf_8_are_one_line_of_error(ix: Path) -> None:
    from_stdin = ["search", "-", "--index", str(ix)]
    runs = [vdr(*from_stdin, asked=b"\xff\xfe\n", PYTHONIOENCODING="utf-8:strict")]
    if os.name != "nt":  # arguments are bytes
        runs.append(vdr("search", b"caf\xe9", "--index", str(ix), PYTHONUTF8="1"))
    for done in runs:
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"UTF-8 text; convert it first" in done.stderr.replace(b"utf-8", b"UTF-8")
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["latin-1", "ascii:strict", "utf-8"])
def test_names_reach_a_stdout_of_any_encoding_and_json_stays_whole(ix: Path, encoding: str) -> None:
    command = ["info", "--documents", "--index", str(ix)]
    as_json = vdr(*command, "--json", PYTHONIOENCODING=encoding)
    assert (as_json.returncode, as_json.stderr) == (0, b"")
    (line,) = as_json.stdout.splitlines()
    (document,) = json.loads(line.decode(encoding.partition(":")[0]))["documents"]
    assert document["source"].endswith(NAME)
    plain = vdr(*command, PYTHONIOENCODING=encoding)
    assert (plain.returncode, plain.stderr) == (0, b"")
    shown = NAME if encoding == "utf-8" else "?? ?.pdf"
    assert f"{shown}\t1 pages".encode() in plain.stdout


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_a_reader_that_goes_away_ends_the_program_without_a_word(ix: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = vdr("info", "--index", str(ix), stdout=writing, PYTHONUNBUFFERED="1")
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 1
