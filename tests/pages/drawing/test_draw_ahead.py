from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.patience import HANG_S
from tests.pdfs import encrypt_pdf, hang_on_page, write_pdf

from vdr_integrations import open_pdf
from vdr_integrations.errors import OptionError
from vdr_integrations.pages import PdfPage, ProcessLimits, render_ahead
from vdr_integrations.types import PageImage, PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUDGET = PixelBudget(max_visual_tokens=64)
TEXTS = [f"page {number}" for number in range(1, 13)]


def references(pages: list[PageImage]) -> list[str]:
    return [str(page.ref) for page in pages]


def test_pages_drawn_by_other_processes_are_the_same_pages_in_the_same_order(
    tmp_path: Path,
) -> None:
    path = write_pdf(tmp_path / "a.pdf", TEXTS)
    locked = encrypt_pdf(path, password="open")
    photo = Image.new("RGB", (300, 200), "navy")
    drawn: list[list[PageImage]] = []
    for limits, workers in ((None, 0), (ProcessLimits(), 0), (ProcessLimits(), 2)):
        with (
            open_pdf(path, process_limits=limits) as document,
            open_pdf(path.read_bytes(), process_limits=limits) as nameless,
            open_pdf(locked, password="open", process_limits=limits) as encrypted,
        ):
            pages = [*document, photo, *nameless[:2], *encrypted[:2]]
            drawn.append(list(render_ahead(pages, budget=BUDGET, workers=workers)))
    here, when_needed, elsewhere = drawn
    assert references(when_needed) == references(here)
    assert len(set(references(here))) == 13
    assert references(elsewhere) == references(here)
    assert [page.source for page in elsewhere] == [page.source for page in here]


def test_only_a_few_pages_are_asked_for_ahead(tmp_path: Path) -> None:
    asked: list[int] = []

    def pages() -> Iterator[PdfPage]:
        for page in document:
            asked.append(page.page_number)
            yield page

    with open_pdf(write_pdf(tmp_path / "a.pdf", TEXTS)) as document:
        drawn = render_ahead(pages(), budget=BUDGET, workers=1)
        next(drawn)
        assert 1 < len(asked) < len(TEXTS)
        assert len(list(drawn)) == len(TEXTS) - 1


def test_label_and_text_come_with_the_picture(tmp_path: Path) -> None:
    with open_pdf(write_pdf(tmp_path / "a.pdf", TEXTS)) as document:
        drawn = document[4].begin(BUDGET)()
    assert (drawn.page_label, drawn.text.strip()) == ("5", "page 5")


def test_fewer_than_no_workers_are_refused(tmp_path: Path) -> None:
    with (
        open_pdf(write_pdf(tmp_path / "a.pdf", TEXTS)) as document,
        pytest.raises(OptionError, match="workers=-1"),
    ):
        next(render_ahead(document, budget=BUDGET, workers=-1))


def end_of_script_that_draws(folder: Path, wanted: signal.Signals) -> str:
    """Output of a script that gets a signal while it draws, when all its processes have ended."""
    script = (
        "import signal\n"
        "from vdr_integrations import open_pdf\n"
        "from vdr_integrations.pages import render_ahead\n"
        "from vdr_integrations.types import PixelBudget\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from vdr_integrations.pages import ProcessLimits\n"
        "limits = ProcessLimits(page_timeout_s=86_400)\n"
        "with open_pdf('a.pdf', process_limits=limits) as document:\n"
        "    pages = render_ahead(document, budget=PixelBudget(), workers=2)\n"
        "    next(pages)\n"
        "    print('drawn', flush=True)\n"
        "    list(pages)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "drawn\n"
            process.send_signal(wanted)
            return process.communicate(timeout=HANG_S)[0]  # whatever runs keeps the output open
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_ends_processes_on_whose_pages_mupdf_hangs(tmp_path: Path) -> None:
    hang_on_page(write_pdf(tmp_path / "a.pdf", TEXTS[:3]), 2)
    assert "KeyboardInterrupt" in end_of_script_that_draws(tmp_path, signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path: Path) -> None:
    write_pdf(tmp_path / "a.pdf", TEXTS[:3])
    assert "Traceback" not in end_of_script_that_draws(tmp_path, signal.SIGKILL)


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    write_pdf(tmp_path / "a.pdf", TEXTS[:3])
    script = tmp_path / "script.py"
    script.write_text(
        "from vdr_integrations import open_pdf\n"
        "from vdr_integrations.pages import render_ahead\n"
        "from vdr_integrations.types import PixelBudget\n"
        "with open_pdf('a.pdf') as document:\n"
        "    pages = render_ahead(document, budget=PixelBudget(), workers=2)\n"
        "    print([page.width for page in pages])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.count(",") == 2
