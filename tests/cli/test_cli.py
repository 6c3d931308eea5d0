from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.hit_keys import HIT_KEYS
from tests.cli.pseudo_terminal import in_terminal
from tests.index.documents import write_pdf, write_pdf_with_a_bad_page, write_png
from tests.machine import end_processes_at_once
from tests.pdfs import hang_on_page
from tests.tiny_checkpoint import write_tiny_checkpoint

import vdr_integrations
from vdr_integrations import load_encoder, open_pdf
from vdr_integrations.index import DenseIndex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.prepared.python import PreparedPython
    from typer.testing import Result


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    write_pdf(folder / "a.pdf", ["apples", "pears"])
    write_png(folder / "b.png", "navy")
    return folder


@pytest.fixture
def built(vdr: Callable[..., Result], docs: Path, tmp_path: Path, tiny_checkpoint: Path) -> Path:
    """An index of ``docs``."""
    done = vdr("index", docs, "--index", tmp_path / "ix", *model_options(tiny_checkpoint))
    assert done.exit_code == 0, done.stderr
    return tmp_path / "ix"


def model_options(checkpoint: Path) -> list[str]:
    return ["--model", str(checkpoint), "--max-visual-tokens", "16", "--dimension", "32"]


def in_a_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_indexing_says_on_stdout_what_was_done(
    vdr: Callable[..., Result], docs: Path, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    options = ["index", docs, "--index", tmp_path / "ix"]
    first = vdr(*options, *model_options(tiny_checkpoint))
    assert first.stdout == "2 added, 0 changed, 0 unchanged, 0 removed; 3 pages encoded\n"
    again = vdr(*options)
    assert again.stdout == "0 added, 0 changed, 2 unchanged, 0 removed; 0 pages encoded\n"
    (docs / "b.png").unlink()
    gone = vdr(*options)
    assert gone.stdout == "0 added, 0 changed, 1 unchanged, 1 removed; 0 pages encoded\n"
    assert [first.exit_code, again.exit_code, gone.exit_code] == [0, 0, 0]
    assert first.stderr == again.stderr == ""


def test_json_is_an_array_of_hits_best_first(
    vdr: Callable[..., Result], built: Path, docs: Path, tiny_checkpoint: Path
) -> None:
    done = vdr("search", "apples", "--index", built, "--json")
    assert done.exit_code == 0
    hits: list[dict[str, Any]] = json.loads(done.stdout)
    assert [set(hit) for hit in hits] == [HIT_KEYS] * 3
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert {hit["source"] for hit in hits} == {(docs / n).as_posix() for n in ("a.pdf", "b.png")}
    encoder = load_encoder(str(tiny_checkpoint), max_visual_tokens=16, dimension=32)
    with open_pdf(docs / "a.pdf") as document:
        direct = encoder.encode_pages(list(document)) @ encoder.encode_queries(["apples"])[0]
    by_page = {h["page_number"]: h["score"] for h in hits if h["source"].endswith("a.pdf")}
    assert by_page == {
        number: pytest.approx(score, abs=1e-5) for number, score in enumerate(direct, start=1)
    }


def test_processes_that_cannot_be_had_are_one_line_and_old_pages_stay(
    vdr: Callable[..., Result],
    built: Path,
    docs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_pdf(docs / "a.pdf", ["plums"])
    end_processes_at_once(monkeypatch)
    done = vdr("index", docs, "--index", built, "--workers", 1)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: a process that opens files cannot be started")
    assert "vdr: --workers 0" in done.stderr
    assert DenseIndex.open(built).count_pages() == 3
    assert vdr("index", docs, "--index", built, "--workers", 0).exit_code == 0


def test_a_page_may_take_as_many_seconds_as_it_is_given(
    vdr: Callable[..., Result], docs: Path, built: Path
) -> None:
    hang_on_page(write_pdf(docs / "c.pdf", ["plums", "figs"]), 1)
    done = vdr("index", docs, "--index", built, "--workers", 1, "--page-timeout", 1)
    assert done.exit_code == 3
    assert "c.pdf page 1: to draw it takes more than 1 s of CPU time" in " ".join(
        done.stderr.split()
    )
    assert DenseIndex.open(built).count_pages() == 4


@pytest.mark.parametrize(("workers", "seconds"), [(1, 0), (0, 5)])
def test_a_time_limit_that_could_not_be_kept_is_refused(
    vdr: Callable[..., Result], docs: Path, built: Path, workers: int, seconds: float
) -> None:
    done = vdr("index", docs, "--index", built, "--workers", workers, "--page-timeout", seconds)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"page_timeout_s={seconds}" in done.stderr


def test_k_is_the_number_of_hits(vdr: Callable[..., Result], built: Path) -> None:
    assert len(json.loads(vdr("search", "x", "--index", built, "-k", 2, "--json").stdout)) == 2


def test_without_json_and_terminal_a_hit_is_a_line_of_tabs(
    vdr: Callable[..., Result], built: Path
) -> None:
    lines = vdr("search", "x", "--index", built).stdout.splitlines()
    assert len(lines) == 3
    score, page_number, source = lines[0].split("\t")
    assert -1 <= float(score) <= 1
    assert page_number in {"1", "2"}
    assert source.startswith("/")


def test_several_questions_come_from_stdin_one_array_a_line(
    vdr: Callable[..., Result], built: Path
) -> None:
    done = vdr("search", "-", "--index", built, "--json", asked="apples\n\npears\n")
    alone = [vdr("search", q, "--index", built, "--json").stdout for q in ("apples", "pears")]
    assert done.stdout == "".join(alone)
    shown = vdr("search", "-", "--index", built, "-k", 1, asked="apples\npears\n").stdout
    assert shown.splitlines()[0::2] == ["apples", "pears"]


def test_index_and_model_come_from_the_environment_too(
    vdr: Callable[..., Result], docs: Path, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    variables = {"VDR_INDEX": str(tmp_path / "ix"), "VDR_MODEL": str(tiny_checkpoint)}
    assert vdr("index", docs, "--max-visual-tokens", 16, **variables).exit_code == 0
    assert DenseIndex.open(tmp_path / "ix").manifest.model == str(tiny_checkpoint.resolve())
    assert vdr("search", "x", VDR_INDEX=variables["VDR_INDEX"]).exit_code == 0


def test_a_model_given_by_a_relative_path_is_found_from_anywhere(
    vdr: Callable[..., Result],
    docs: Path,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tiny_checkpoint.parent)
    options = ["--index", tmp_path / "ix", "--max-visual-tokens", 16]
    assert vdr("index", docs, "--model", f"./{tiny_checkpoint.name}", *options).exit_code == 0
    monkeypatch.chdir(tmp_path)
    assert vdr("search", "x", "--index", tmp_path / "ix").exit_code == 0


def test_another_model_is_refused_naming_both(
    vdr: Callable[..., Result], built: Path, docs: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    other = write_tiny_checkpoint(tmp_path / "other" / "vdr-2b-multi-v1", seed=1)
    for command in (["index", docs], ["search", "x"]):
        done = vdr(*command, "--index", built, "--model", other)
        assert done.exit_code == 1
        assert str(other) in done.stderr
        assert str(tiny_checkpoint) in done.stderr
        assert done.stdout == ""


def test_bad_files_give_exit_code_3_and_a_line_each(
    vdr: Callable[..., Result], docs: Path, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    (docs / "bad.pdf").write_bytes(b"no PDF")
    write_pdf_with_a_bad_page(docs / "long.pdf")
    done = vdr("index", docs, "--index", tmp_path / "ix", *model_options(tiny_checkpoint))
    assert done.exit_code == 3
    assert done.stdout == "3 added, 0 changed, 0 unchanged, 0 removed, 2 failed; 5 pages encoded\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"error: {docs.as_posix()}/bad.pdf: ")
    assert lines[1].startswith(f"error: {docs.as_posix()}/long.pdf page 2: ")


def test_when_every_file_fails_the_exit_code_is_1(
    vdr: Callable[..., Result], docs: Path, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    (docs / "bad.pdf").write_bytes(b"no PDF")
    options = ["--index", tmp_path / "ix", *model_options(tiny_checkpoint)]
    for path in (docs / "bad.pdf", tmp_path / "missing"):
        done = vdr("index", path, *options)
        assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)


def test_a_folder_without_documents_is_an_error(
    vdr: Callable[..., Result], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    (tmp_path / "nothing").mkdir()
    done = vdr(
        "index", tmp_path / "nothing", "--index", tmp_path / "ix", *model_options(tiny_checkpoint)
    )
    assert done.exit_code == 1
    assert "no PDFs or images" in done.stderr


def test_the_password_comes_from_a_variable_and_is_never_shown(
    vdr: Callable[..., Result], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    secret = write_pdf(tmp_path / "secret.pdf", ["secret"], password="open sesame")
    options = ["index", secret, "--index", tmp_path / "ix", *model_options(tiny_checkpoint)]
    assert vdr(*options).exit_code == 1
    wrong = vdr(*options, "--password-env", "PDF_PASSWORD", PDF_PASSWORD="swordfish")
    assert wrong.exit_code == 1
    assert "swordfish" not in wrong.output
    unset = vdr(*options, "--password-env", "PDF_PASSWORD_UNSET")
    assert "PDF_PASSWORD_UNSET, which is not set" in unset.stderr
    right = vdr(*options, "--password-env", "PDF_PASSWORD", PDF_PASSWORD="open sesame")
    assert right.exit_code == 0


def test_errors_are_one_line_without_traceback_unless_debug(
    vdr: Callable[..., Result], tmp_path: Path
) -> None:
    plain = vdr("search", "x", "--index", tmp_path / "none")
    assert (plain.exit_code, plain.stdout) == (1, "")
    assert plain.stderr.startswith("error: there is no index in ")
    assert len(plain.stderr.splitlines()) == 1
    for debug in (
        vdr("search", "x", "--index", tmp_path / "none", "--debug"),
        vdr("search", "x", "--index", tmp_path / "none", VDR_DEBUG="1"),
    ):
        assert "Traceback" in debug.stderr
        assert debug.exit_code == 1


def test_a_damaged_index_is_an_error(vdr: Callable[..., Result], built: Path) -> None:
    (built / "index.sqlite3").write_bytes(b"garbage" * 1000)
    done = vdr("search", "x", "--index", built)
    assert done.exit_code == 1
    assert "damaged" in done.stderr


def test_an_unknown_model_is_an_error_and_leaves_no_index(
    vdr: Callable[..., Result], docs: Path, tmp_path: Path
) -> None:
    done = vdr("index", docs, "--index", tmp_path / "ix", "--model", "someone/something")
    assert done.exit_code == 1
    assert "someone/something" in done.stderr
    assert not (tmp_path / "ix").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "x"],
        ["search", "--index", "ix"],
        ["search", "x", "--index", "ix", "-k", "0"],
        ["index", "--index", "ix"],
        ["find", "x"],
    ],
)
def test_wrong_usage_has_exit_code_2(vdr: Callable[..., Result], arguments: list[str]) -> None:
    assert vdr(*arguments).exit_code == 2


def test_file_names_cannot_drive_the_terminal(
    vdr: Callable[..., Result], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "\x1b[2Jbad\n.pdf").write_bytes(b"no PDF")
    write_pdf(tmp_path / "docs" / "\x1b[2Jgood.pdf", ["x"])
    options = ["--index", tmp_path / "ix"]
    done = vdr("index", tmp_path / "docs", *options, *model_options(tiny_checkpoint))
    assert done.exit_code == 3
    assert "\x1b" not in done.output
    assert len(done.stderr.splitlines()) == 1
    assert "\x1b" not in vdr("search", "x", *options).output


def test_the_command_runs_as_a_module_in_its_own_process(built: Path) -> None:
    done = in_a_process("-m", "vdr_integrations", "search", "x", "--index", built, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) == 3


def test_help_and_version_import_neither_torch_nor_pymupdf() -> None:
    script = (
        "import sys; sys.argv = ['vdr', {argument!r}]\n"
        "from vdr_integrations.cli.main import main\n"
        "try: main()\n"
        "finally: print([m for m in ('torch', 'transformers', 'pymupdf') if m in sys.modules])"
    )
    version = in_a_process("-c", script.format(argument="--version"))
    assert version.stdout == f"vdr-integrations {vdr_integrations.__version__}\n[]\n"
    assert in_a_process("-c", script.format(argument="--help")).stdout.endswith("\n[]\n")


@pytest.mark.parametrize(
    ("package", "arguments"),
    [("typer", []), ("jinja2", ["search", "x", "--index", "none", "--report", "r.html"])],
)
def test_without_a_package_of_the_extra_the_extra_is_named(
    package: str, arguments: list[str]
) -> None:
    script = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv = ['vdr', *{arguments!r}]\n"
        "from vdr_integrations.cli.main import main\n"
        "main()"
    )
    done = in_a_process("-c", script)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f'error: vdr needs {package}, which is not installed: pip install "vdr-integrations[cli]"'
    ]


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals")
def test_on_a_terminal_progress_is_on_stderr_and_hits_are_a_table(
    prepared_python: PreparedPython, docs: Path, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    options = ["--index", tmp_path / "ix"]
    indexed = in_terminal(
        prepared_python, "index", docs, *options, *model_options(tiny_checkpoint), stream="stderr"
    )
    assert indexed.exit_code == 0
    assert indexed.other.startswith("2 added")
    assert "pages, 2/2 documents" in indexed.terminal
    found = in_terminal(prepared_python, "search", "x", *options)
    assert found.exit_code == 0
    assert "Document" in found.terminal
    assert "of 2" in found.terminal
