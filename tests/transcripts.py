"""Runs the console transcripts of documents again, compares them, and updates them.

    make transcripts     # run all; rewrite the outputs that have changed

A ```` ```console ```` block holds commands after ``$ `` and what a terminal of 80 columns showed.
The blocks of a document are one session, in a home folder that holds ``reports/``; a block
```` ```python title="ask.py" ```` is written to that file when the session reaches it. A line
``...`` stands for lines that are left out. Text that differs between machines and runs is not
compared: see ``comparable``.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.prepared.python import PreparedPython
from tests.prepared.server import SEEN_PAGES

__all__ = ["DOCUMENTS", "Command", "difference", "rerun"]

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (ROOT / "docs" / "cli.md", ROOT / "docs" / "agents.md")

REPORTS = ("library-report.en.pdf", "wine-report.it.pdf")
HOME = "/home/me"
PROMPT = "$ "
OMITTED = "..."
TOLERANCE = 0.02
RELATIVE_TOLERANCE = 0.01
"""``dtype="auto"`` is bfloat16 on some CPUs: a MaxSim score of 7.5 differs by 0.04 there."""
COMMAND_SECONDS = 300
"""A command that takes longer hangs; it takes seconds, or half a minute on a busy machine."""

_BLOCK = re.compile(
    r'^```(?:console|python title="(?P<file>[\w.]+)")\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)
_DECIMAL = re.compile(r"-?\d+\.\d+")
_VARYING = (
    (re.compile(r"vdr-page:[0-9a-f]{64}"), "vdr-page:<sha256>"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "<hex>"),
    (re.compile(r"\b\d+(\.\d+)? (bytes|kB|MB|GB)"), "<size>"),
    (re.compile(r"(\b\d+(\.\d+)? pages/s )?([\d:]+ )?left [-\d]+:[-\d:]+"), "<speed and times>"),
    (re.compile(r"━+"), "━"),
    (re.compile(r"\b\d+(\.\d+){2,}\S*"), "<version>"),
    (re.compile(r"\b\d+ x \d+ pixels"), "<pixels>"),
    (re.compile(r"on (Linux|macOS|Darwin)\S*"), "on <system>"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a document, its output in the document, and its output now."""

    line: str
    shown: str
    found: str


def rerun(document: Path, folder: Path, *, python: PreparedPython) -> list[Command]:
    """Run the session of a document in an empty folder, with processes that are prepared.

    Raises:
        TimeoutError: A command took longer than ``COMMAND_SECONDS``.
    """
    home = folder / "me"
    _furnish(home, folder / "bin", python.address)
    ran: list[Command] = []
    code = 0
    for block in _BLOCK.finditer(document.read_text(encoding="utf-8")):
        if block["file"]:
            (home / block["file"]).write_text(block["text"], encoding="utf-8")
            continue
        for line, shown in _commands(block["text"]):
            found, code = _typed(f"(exit {code}); {line}", home, folder / "bin")
            ran.append(Command(line, shown, _tidy(found, home)))
    return ran


def difference(command: Command) -> str | None:
    """The first line that has changed, with the new one; None if none has."""
    found = [comparable(line) for line in command.found.splitlines()]
    shown = [comparable(line) for line in command.shown.splitlines()]
    place, omitting = 0, False
    for line in shown:
        if line == OMITTED:
            omitting = True
            continue
        rest = range(place, len(found) if omitting else min(place + 1, len(found)))
        match = next((n for n in rest if _same(line, found[n])), None)
        if match is None:
            instead = found[place] if place < len(found) else "the end"
            return f"$ {command.line}\nshown: {line}\nfound: {instead}"
        place, omitting = match + 1, False
    if place < len(found) and not omitting:
        return f"$ {command.line}\nshown: the end\nfound: {found[place]}"
    return None


def comparable(line: str) -> str:
    """The line with placeholders for hashes, sizes, speeds, times, versions and widths."""
    for varying, placeholder in _VARYING:
        line = varying.sub(placeholder, line)
    return line.strip()


def _same(shown: str, found: str) -> bool:
    """Whether two lines are equal but for the last digits of numbers with decimals."""
    numbers = [[float(number) for number in _DECIMAL.findall(line)] for line in (shown, found)]
    return _DECIMAL.sub("<n>", shown) == _DECIMAL.sub("<n>", found) and all(
        math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE, abs_tol=TOLERANCE)
        for a, b in zip(*numbers, strict=True)
    )


def _commands(block: str) -> list[tuple[str, str]]:
    """The commands of a block, each with the output below it."""
    pieces = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    if pieces[0]:
        raise ValueError(f"a console block begins with {PROMPT!r}, found {pieces[0]!r}.")
    return list(zip(pieces[1::2], pieces[2::2], strict=True))


def _furnish(home: Path, bin_folder: Path, address: str) -> None:
    """A home with documents, one of them broken, and ``vdr`` and ``python`` of this interpreter."""
    (home / "reports").mkdir(parents=True)
    for name in REPORTS:
        shutil.copy(ROOT / "demo" / "documents" / name, home / "reports")
    (home / "reports" / "broken.pdf").write_text("not a PDF\n", encoding="utf-8")
    bin_folder.mkdir()
    for name, module in (("vdr", " -m vdr_integrations"), ("python", "")):
        script = bin_folder / name
        # The MCP client passes on little but PATH and HOME, so the script sets what matters.
        script.write_text(
            f'#!/bin/sh\nexport HF_HUB_OFFLINE=1 PYTHONPATH="{ROOT / "src"}:{ROOT}"\n'
            f'export {SEEN_PAGES}="{os.environ.get(SEEN_PAGES, "")}"\n'
            f'exec "{sys.executable}" -S -m tests.prepared.relay "{address}"{module} "$@"\n',
            encoding="utf-8",
        )
        script.chmod(0o755)


def _typed(line: str, home: Path, bin_folder: Path) -> tuple[str, int]:
    """What a terminal shows for a line, and its exit code."""
    environment = {name: value for name, value in os.environ.items() if name[:4] != "VDR_"} | {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "TERM": "dumb",
        "COLUMNS": "80",
        "LINES": "40",
        "CUDA_VISIBLE_DEVICES": "",
        "TOKENIZERS_PARALLELISM": "false",
    }
    for name in ("XDG_CACHE_HOME", "HF_HOME", "FORCE_COLOR", "CI"):
        environment.pop(name, None)
    import pty

    terminal, end = pty.openpty()
    with subprocess.Popen(
        ["bash", "--norc", "-c", line],
        cwd=home,
        env=environment,
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
    ) as process:
        os.close(end)
        late = threading.Event()

        def stop() -> None:
            late.set()
            os.killpg(process.pid, 9)

        watch = threading.Timer(COMMAND_SECONDS, stop)
        watch.start()
        try:
            shown = _read(terminal)
            code = process.wait()
        finally:
            watch.cancel()
            os.close(terminal)
    if late.is_set():
        raise TimeoutError(f"{line!r} took longer than {COMMAND_SECONDS} s; so far: {shown}")
    return shown, code


def _read(terminal: int) -> str:
    """All text until the other end is closed, which Linux reports as an error."""
    pieces: list[bytes] = []
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:
            piece = b""
        if not piece:
            return b"".join(pieces).decode("utf-8")
        pieces.append(piece)


def _tidy(found: str, home: Path) -> str:
    """The lines that the screen shows at the end, with another home folder."""
    lines = found.replace("\r\n", "\n").replace(str(home), HOME).split("\n")
    kept = [line.rpartition("\r")[2].rstrip() for line in lines]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n") + "\n" if any(kept) else ""


def main() -> int:
    """Rewrite outputs that have changed; the exit status is 1 if there were any."""
    changed = 0
    python = PreparedPython()
    for document in DOCUMENTS:
        with tempfile.TemporaryDirectory(prefix="vdr-") as folder:
            ran = rerun(document, Path(folder), python=python)
        text = document.read_text(encoding="utf-8")
        for command in ran:
            if (what := difference(command)) is None:
                continue
            sys.stdout.write(f"{document.name}: {what}\n\n")
            typed = f"{PROMPT}{command.line}\n"
            text = text.replace(typed + command.shown, typed + command.found, 1)
            changed += 1
        document.write_text(text, encoding="utf-8")
    python.close()
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
