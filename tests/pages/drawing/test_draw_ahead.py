from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import loky
import pytest
from PIL import Image
from tests.machine import end_drawing_processes_at_once, files_left, limit_only
from tests.patience import HANG_S
from tests.pdfs import encrypt_pdf, hang_on_page, write_pdf

from vdr_integrations import open_pdf
from vdr_integrations.errors import DocumentOpenError, OptionError, PageRenderError, ResourceError
from vdr_integrations.pages import PdfPage, render_ahead
from vdr_integrations.pages.drawing.draw_ahead import PagePrinter
from vdr_integrations.pages.drawing.drawn_page import DrawnPage, PageAddress, draw_elsewhere
from vdr_integrations.types import PageImage, PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUDGET = PixelBudget(max_visual_tokens=64)
TEXTS = [f"page {number}" for number in range(1, 13)]


def references(pages: list[PageImage]) -> list[str]:
    return [str(page.ref) for page in pages]


def end_on_pages_3_and_5(address: PageAddress, budget: PixelBudget) -> DrawnPage:
    if address.page_number in {3, 5}:
        os._exit(11)
    return draw_elsewhere(address, budget)


def test_pages_drawn_by_other_processes_are_the_same_pages_in_the_same_order(
    tmp_path: Path,
) -> None:
    path = write_pdf(tmp_path / "a.pdf", TEXTS)
    locked = encrypt_pdf(path, password="open")
    photo = Image.new("RGB", (300, 200), "navy")
    with (
        open_pdf(path) as document,
        open_pdf(path.read_bytes()) as nameless,
        open_pdf(locked, password="open") as encrypted,
    ):
        pages = [*document, photo, *nameless[:2], *encrypted[:2]]
        here = list(render_ahead(pages, budget=BUDGET, workers=0))
        elsewhere = list(render_ahead(pages, budget=BUDGET, workers=2))
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
    with (
        open_pdf(write_pdf(tmp_path / "a.pdf", TEXTS)) as document,
        PagePrinter(workers=1) as printer,
    ):
        drawn = printer.submit(document[4], BUDGET)()
    assert (drawn.page_label, drawn.text.strip()) == ("5", "page 5")


def test_pages_on_which_their_process_ends_are_those_pages_errors(tmp_path: Path) -> None:
    with (
        open_pdf(write_pdf(tmp_path / "a.pdf", TEXTS[:6])) as document,
        PagePrinter(workers=2, draw=end_on_pages_3_and_5) as printer,
    ):
        waiting = [printer.submit(page, BUDGET) for page in document]
        for bad in (3, 5):
            with pytest.raises(PageRenderError, match=rf"a\.pdf page {bad}: MuPDF ended its"):
                waiting[bad - 1]()
        texts = [waiting[good - 1]().text.strip() for good in (1, 2, 4, 6)]
        assert texts == ["page 1", "page 2", "page 4", "page 6"]
        assert printer.submit(document[0], BUDGET)().text.strip() == "page 1"


def test_where_no_process_can_be_started_the_error_says_so_and_none_is_left_behind(
    tmp_path: Path,
) -> None:
    assert loky  # imported already: the files below are for the processes
    messages: list[str] = []
    with open_pdf(write_pdf(tmp_path / "a.pdf", TEXTS)) as document:
        for files in range(100):
            try:
                with files_left(files), PagePrinter(workers=2) as printer:
                    assert printer.submit(document[0], BUDGET)().text.strip() == "page 1"
            except ResourceError as error:
                messages.append(str(error))
                assert multiprocessing.active_children() == []
            else:
                break
    assert 5 < len(messages) < 100  # pipes, locks, the first process, the second
    assert all("Too many open files" in message for message in messages)
    assert all("vdr index: --workers 0" in message for message in messages)


def test_after_processes_could_not_be_started_the_next_page_tries_again(tmp_path: Path) -> None:
    with (
        open_pdf(write_pdf(tmp_path / "a.pdf", TEXTS)) as document,
        PagePrinter(workers=1) as printer,
    ):
        with files_left(4), pytest.raises(ResourceError):
            printer.submit(document[0], BUDGET)
        assert printer.submit(document[1], BUDGET)().text.strip() == "page 2"


def test_processes_that_end_before_they_draw_are_no_fault_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_drawing_processes_at_once(monkeypatch, tmp_path)
    with (
        open_pdf(write_pdf(tmp_path / "a.pdf", TEXTS)) as document,
        pytest.raises(ResourceError, match=r"before it drew anything.*workers=0"),
    ):
        list(render_ahead(document, budget=BUDGET, workers=1))


def test_pages_on_which_mupdf_hangs_are_ended_and_the_others_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_only(monkeypatch, 2, 4)
    path = write_pdf(tmp_path / "a.pdf", TEXTS[:5])
    hang_on_page(hang_on_page(path, 2), 4)
    with open_pdf(path) as document, PagePrinter(workers=2, page_timeout_s=1) as printer:
        waiting = [printer.submit(page, BUDGET) for page in document]
        texts = [waiting[good - 1]().text.strip() for good in (1, 3, 5)]
        assert texts == ["page 1", "page 3", "page 5"]
        for bad in (2, 4):
            with pytest.raises(PageRenderError, match=rf"page {bad}: .* 1 s.*page_timeout_s"):
                waiting[bad - 1]()
        assert printer.submit(document[0], BUDGET)().text.strip() == "page 1"


@pytest.mark.parametrize("limit_s", [0, -1, float("nan"), float("inf"), 86_401])
def test_a_time_limit_that_is_none_is_refused(limit_s: float) -> None:
    with pytest.raises(OptionError, match=f"page_timeout_s={limit_s}.*at most 86,400"):
        PagePrinter(workers=1, page_timeout_s=limit_s)


def test_a_time_limit_without_processes_to_end_is_refused() -> None:
    with pytest.raises(OptionError, match=r"page_timeout_s=5, .*in this process.*workers=1"):
        PagePrinter(workers=0, page_timeout_s=5)


def test_a_file_that_changed_after_it_was_opened_is_refused(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", TEXTS)
    with open_pdf(path) as document:
        write_pdf(path, ["another"])
        with pytest.raises(DocumentOpenError, match="changed while it was read"):
            list(render_ahead(document, budget=BUDGET, workers=1))


def test_fewer_than_no_workers_are_refused() -> None:
    with pytest.raises(OptionError, match="workers=-1"):
        PagePrinter(workers=-1)


def end_of_script_that_draws(folder: Path, wanted: signal.Signals) -> str:
    """Output of a script that gets a signal while it draws, when all its processes have ended."""
    script = (
        "import signal\n"
        "from vdr_integrations import open_pdf\n"
        "from vdr_integrations.pages import render_ahead\n"
        "from vdr_integrations.types import PixelBudget\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with open_pdf('a.pdf') as document:\n"
        "    pages = render_ahead(\n"
        "        document, budget=PixelBudget(), workers=2, page_timeout_s=86_400\n"
        "    )\n"
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


def test_an_interrupt_ends_processes_on_whose_pages_mupdf_hangs(tmp_path: Path) -> None:
    hang_on_page(write_pdf(tmp_path / "a.pdf", TEXTS[:3]), 2)
    assert "KeyboardInterrupt" in end_of_script_that_draws(tmp_path, signal.SIGINT)


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
