"""What a process that a file has taken over could do to others."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.patience import HANG_S
from tests.pdfs import hang_on_page, write_pdf

from vdr_integrations import open_pdf
from vdr_integrations.errors import DocumentOpenError, OptionError, ResourceError
from vdr_integrations.pages.processes.process_pool import close_pools
from vdr_integrations.pages.processes.shared_pixels import SharedPixels

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")

_SHUT_OFF = """
import os, signal, sys
from vdr_integrations.pages.processes.child_limits import confine
from vdr_integrations.pages.processes.file_rights import forbid_writing
folder, keeper = sys.argv[1], int(sys.argv[2])
if not forbid_writing():
    print("this system cannot")
    raise SystemExit
confine(memory_bytes=None, parent_id=os.getppid())
print(open(folder + "/good").read())
calls = {
    "write": lambda: open(folder + "/good", "w"),
    "make": lambda: open(folder + "/new", "w"),
    "remove": lambda: os.unlink(folder + "/good"),
    "rename": lambda: os.rename(folder + "/good", folder + "/bad"),
    "cut": lambda: os.truncate(folder + "/good", 0),
    "rights": lambda: os.chmod(folder + "/good", 0o777),
    "link": lambda: os.symlink("secret", folder + "/link"),
    "kill": lambda: os.kill(keeper, signal.SIGKILL),
    "keys": lambda: open(f"/proc/{keeper}/environ").read(),
    "memory": lambda: open(f"/proc/{keeper}/mem", "r+b"),
}
for name, call in calls.items():
    try:
        call()
    except OSError:
        continue
    print("could", name)
"""


def run(script: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
        env=environment,
        **options,  # pyright: ignore[reportArgumentType, reportCallIssue]
    )


def test_it_reads_files_and_can_harm_neither_files_nor_processes(tmp_path: Path) -> None:
    (tmp_path / "good").write_text("content")
    done = run(_SHUT_OFF, tmp_path, os.getpid())
    if "cannot" in done.stdout:
        pytest.skip("a kernel without Landlock")
    assert (done.stdout, done.stderr, done.returncode) == ("content\n", "", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


def test_memory_that_is_shared_cannot_be_taken_away() -> None:
    shared = SharedPixels.made()
    assert shared is not None
    try:
        shared.grow(5000)
        with pytest.raises(PermissionError):
            os.ftruncate(shared.descriptor, 0)
    finally:
        shared.close()


def test_files_are_opened_where_stdin_and_stdout_are_closed(tmp_path: Path) -> None:
    write_pdf(tmp_path / "a.pdf", ["one"])
    script = (
        "import os\n"
        "from vdr_integrations import open_pdf\n"
        "for descriptor in (0, 1):\n"
        "    os.close(descriptor)\n"
        "page = open_pdf('a.pdf')[0]\n"
        "assert page.text.strip() == 'one', page.text\n"
        "page.render(__import__('vdr_integrations').PixelBudget(64))\n"
        "os.write(2, b'drawn')\n"
    )
    assert run(script, cwd=tmp_path).stderr == "drawn"


def test_after_an_interrupt_the_next_file_is_opened(tmp_path: Path) -> None:
    hang_on_page(write_pdf(tmp_path / "slow.pdf", ["one"]), 1)
    write_pdf(tmp_path / "good.pdf", ["two"])
    script = (
        "import os, signal, threading\n"
        "from vdr_integrations import open_pdf\n"
        "from vdr_integrations.pages import ProcessLimits\n"
        "limits = ProcessLimits(page_timeout_s=86_400)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "slow = open_pdf('slow.pdf', process_limits=limits)\n"
        "for _ in range(6):\n"
        "    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    try:\n"
        "        slow[0].text\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted')\n"
        "print(open_pdf('good.pdf', process_limits=limits)[0].text.strip())\n"
    )
    done = run(script, cwd=tmp_path)
    assert (done.stdout.split(), done.stderr) == (["interrupted"] * 6 + ["two"], "")


def test_a_program_with_a_thread_that_waits_for_a_page_can_end(tmp_path: Path) -> None:
    hang_on_page(write_pdf(tmp_path / "slow.pdf", ["one"]), 1)
    script = (
        "import threading\n"
        "from vdr_integrations import open_pdf\n"
        "from vdr_integrations.pages import ProcessLimits\n"
        "slow = open_pdf('slow.pdf', process_limits=ProcessLimits(page_timeout_s=86_400))\n"
        "def wait():\n"
        "    try:\n"
        "        slow[0].text\n"
        "    except BaseException as error:\n"
        "        print(type(error).__name__)\n"
        "threading.Thread(target=wait).start()\n"
    )
    done = run(script, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("SystemExit\n", 0)


def test_python_that_does_not_know_where_it_is_gets_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_pools()
    monkeypatch.setattr(sys, "executable", None)
    with pytest.raises(ResourceError, match=r"cannot be started.*process_limits=None"):
        open_pdf(write_pdf(tmp_path / "a.pdf", ["one"]))


def test_folders_to_import_from_may_be_odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["one"])
    close_pools()
    odd: list[object] = ["", b"/nowhere", 7, "relative/folder", *sys.path, *["/nowhere"] * 9000]
    monkeypatch.setattr(sys, "path", odd)
    assert open_pdf(path)[0].text.strip() == "one"


@pytest.mark.parametrize("password", [b"bytes", 7, "x" * 1001])
def test_what_is_no_password_is_refused(tmp_path: Path, password: object) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["one"])
    with pytest.raises((OptionError, DocumentOpenError), match="password must be a text"):
        open_pdf(path, password=password)  # pyright: ignore[reportArgumentType]  # that is the point
