"""``vdr show``."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from tests.cli.pseudo_terminal import Seen, in_terminal
from tests.cli.terminal.test_terminal_pictures import KITTY, png
from tests.index.documents import write_pdf, write_png
from typer.testing import CliRunner

from vdr_integrations.cli.app import app
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.prepared.python import PreparedPython
    from typer.testing import Result

    from vdr_integrations.pages import PageStore

pytestmark = pytest.mark.usefixtures("seen_pages")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    folder = tmp_path_factory.mktemp("show")
    write_pdf(folder / "docs" / "a.pdf", ["apples", "pears\x07"])
    write_png(folder / "docs" / "b.png", "navy")
    write_pdf(folder / "docs" / "other" / "b.png.pdf", ["cherries"])
    model = ["--model", str(tiny_checkpoint), "--max-visual-tokens", "16"]
    done = CliRunner().invoke(
        app, ["index", str(folder / "docs"), "--index", str(folder / "ix"), *model]
    )
    assert done.exit_code == 0, done.stderr
    return folder


@pytest.fixture
def show(
    vdr: Callable[..., Result], original: Path, page_store: PageStore
) -> Callable[..., Result]:
    def run(*options: object) -> Result:
        return vdr("show", *options, "--index", original / "ix")

    return run


def facts(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_the_picture_is_the_one_that_was_indexed(
    show: Callable[..., Result], original: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.png"
    found = facts(show("a.pdf", 2, "--out", out, "--json"))
    with Image.open(out) as image:
        assert str(PageImage(image.convert("RGB")).ref) == found["page_ref"]
        assert (image.width, image.height) == (found["width"], found["height"])
    assert found["source"] == (original / "docs" / "a.pdf").as_posix()
    assert (found["page_number"], found["total_pages"]) == (2, 2)


def test_a_page_is_named_by_its_reference_too(
    show: Callable[..., Result], original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(original / "docs")
    by_path = facts(show("./a.pdf", 1, "--json"))
    assert facts(show("--ref", by_path["page_ref"], "--json")) == by_path
    assert "out" not in by_path


def test_a_pdf_is_drawn_anew_at_the_size_asked_for(
    show: Callable[..., Result], tmp_path: Path
) -> None:
    sizes: list[tuple[int, int]] = []
    for options in (["a.pdf", 1], ["b.png", 1]):
        assert show(*options, "--max-side-px", 700, "--out", tmp_path / "p.png").exit_code == 0
        with Image.open(tmp_path / "p.png") as image:
            sizes.append(image.size)
    assert sizes == [(500, 700), (60, 80)]
    assert show("b.png", 1, "--max-side-px", 40, "--out", tmp_path / "p.png").exit_code == 0
    with Image.open(tmp_path / "p.png") as image:
        assert image.size == (30, 40)


def test_a_dash_writes_the_picture_to_stdout(show: Callable[..., Result]) -> None:
    done = show("b.png", 1, "--out", "-")
    with Image.open(io.BytesIO(done.stdout_bytes)) as image:
        assert image.getpixel((0, 0)) == (0, 0, 128)


def test_the_text_layer_is_printed_without_control_characters(
    show: Callable[..., Result],
) -> None:
    assert show("a.pdf", 1, "--text").stdout == "apples\n"
    assert "\x07" not in show("a.pdf", 2, "--text").stdout
    assert facts(show("a.pdf", 1, "--text", "--json"))["text"] == "apples\n"
    assert show("b.png", 1, "--text").stdout == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a.pdf"], "SOURCE and PAGE, or --ref"),
        ([], "SOURCE and PAGE, or --ref"),
        (["a.pdf", 1, "--ref", "vdr-page:x"], "SOURCE and PAGE, or --ref"),
        (["a.pdf", 1, "--text", "--max-side-px", 50], "--max-side-px is the size of an image"),
        (["a.pdf", 1, "--json", "--max-side-px", 50], "add --out FILE"),
        (["a.pdf", 3, "--text"], "no page 3"),
        (["z.pdf", 1, "--text"], "no document 'z.pdf'"),
        (["z\udcff.pdf", 1, "--text"], "no document 'z\\udcff.pdf'"),
        (["--ref", "vdr-page:" + "0" * 64, "--text"], "no page of the index"),
        (["--ref", "a.pdf", "--text"], "page_ref must be"),
        (["a.pdf", 1], "no terminal"),
        (["a.pdf", 1, "--out", "-", "--text"], "only the image"),
        (["a.pdf", 1, "--out", "nowhere/at/all.png"], "nowhere"),
        (["a.pdf", 1, "--text", "--password-env", "VDR_UNSET"], "which is not set"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    show: Callable[..., Result], options: list[object], message: str
) -> None:
    done = show(*options)
    assert (done.exit_code, done.stdout) == (1, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_files_beside_the_index_are_not_opened(
    show: Callable[..., Result], original: Path, tmp_path: Path
) -> None:
    other = write_pdf(tmp_path / "secret.pdf", ["secret"])
    assert "no document" in show(other, 1, "--out", tmp_path / "p.png").stderr
    assert not (tmp_path / "p.png").exists()


def test_a_file_that_has_changed_is_an_error_not_another_picture(
    vdr: Callable[..., Result], tmp_path: Path, tiny_checkpoint: Path, page_store: PageStore
) -> None:
    document = write_pdf(tmp_path / "a.pdf", ["apples"])
    options = ["--index", tmp_path / "ix"]
    model = ["--model", tiny_checkpoint, "--max-visual-tokens", 16]
    assert vdr("index", document, *options, *model).exit_code == 0
    shutil.copy(write_pdf(tmp_path / "new.pdf", ["pears"]), document)
    for size in ([], ["--max-side-px", 300]):
        done = vdr("show", document, 1, *options, *size, "--out", tmp_path / "p.png")
        assert done.exit_code == 1
        assert "index the document again" in done.stderr
    assert not (tmp_path / "p.png").exists()


@pytest.fixture
def viewer(tmp_path: Path) -> Path:
    """A folder with a program that stands for the desktop's viewer: it copies the file it opens.

    The copy is ``seen.png``; the terminal stays open until it is made.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("xdg-open", "open"):  # Linux, macOS
        program = folder / name
        copy = f"import shutil, sys; shutil.copy(sys.argv[1], {str(tmp_path / 'seen.png')!r})"
        program.write_text(f"#!{sys.executable}\n{copy}\n")
        program.chmod(0o755)
    return folder


@pytest.fixture
def in_shell(
    prepared_python: PreparedPython, original: Path, page_store: PageStore, tmp_path: Path
) -> Callable[..., Seen]:
    """``vdr show`` in a terminal, with PATH one folder and temporary files in ``tmp``."""
    (tmp_path / "tmp").mkdir()

    def run(programs: Path, *options: object, **environment: str) -> Seen:
        variables = {"PATH": str(programs), "TMPDIR": str(tmp_path / "tmp"), **environment}
        return in_terminal(
            prepared_python, "show", *options, "--index", original / "ix", environment=variables
        )

    return run


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals")
def test_in_a_terminal_the_page_is_opened_in_the_viewer(
    show: Callable[..., Result],
    in_shell: Callable[..., Seen],
    viewer: Path,
    tmp_path: Path,
) -> None:
    seen = in_shell(viewer, "b.png", 1, TERM="xterm-kitty")
    assert seen == (0, "", "")
    with Image.open(tmp_path / "seen.png") as image:
        ref = str(PageImage(image.convert("RGB")).ref)
    assert ref == facts(show("b.png", 1, "--json"))["page_ref"]
    [left] = (tmp_path / "tmp").iterdir()  # the viewer may read it later
    assert left.name.startswith("vdr-")
    assert left.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals")
@pytest.mark.parametrize("term", ["xterm-kitty", "vt100"])
def test_without_a_viewer_the_page_is_drawn_in_the_terminal_or_refused(
    in_shell: Callable[..., Seen], tmp_path: Path, term: str
) -> None:
    seen = in_shell(tmp_path, "b.png", 1, TERM=term, COLUMNS="60", LINES="22")
    if term == "xterm-kitty":
        assert (seen.exit_code, seen.other) == (0, "")
        [(control, data)] = KITTY.findall(seen.terminal)
        assert ",r=20," in control
        assert png(data).getpixel((0, 0)) == (0, 0, 128)
    else:
        assert (seen.exit_code, seen.terminal) == (1, "")
        assert "there is no program to open images" in seen.other
        assert "--out FILE" in seen.other
        assert len(seen.other.splitlines()) == 1
    assert list((tmp_path / "tmp").iterdir()) == []
