"""The server as a process of its own, over its stdin and stdout."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.mcp_session import WireSession
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from tests.half_pairs import HALF_PAIRS
from tests.interrupts import interruptible
from tests.mcp.replies import images, text_of
from tests.patience import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.prepared.fresh_python import FreshPython
    from tests.prepared.python import PreparedPython
    from typer.testing import Result

pytestmark = pytest.mark.usefixtures("seen_pages")

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, "-m", "vdr_integrations"]


def with_sources(**variables: str) -> dict[str, str]:
    """The environment of a server that runs from the sources."""
    path = os.pathsep.join([str(ROOT / "src"), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, **variables}


def test_over_stdio_a_child_process_answers_and_says_nothing_else(
    vdr: Callable[..., Result], docs: Path, tmp_path: Path, page_store: object
) -> None:
    environment = with_sources(VDR_INDEX=str(tmp_path / "ix"))
    options = ["--late-interaction", "--model", "nano-colqwen2", "--max-visual-tokens", "300"]
    done = vdr("index", docs / "report.pdf", *options, VDR_INDEX=environment["VDR_INDEX"])
    assert done.exit_code == 0, done.stderr

    async def talk() -> tuple[list[str], str]:
        server = StdioServerParameters(
            command=RUN[0], args=[*RUN[1:], "mcp", "--device", "cpu"], env=environment
        )
        async with stdio_client(server) as streams, ClientSession(*streams) as client_session:
            session = WireSession(client_session)
            greeting = await session.initialize()
            questions = ("Revenue grew", "Costs fell", "Outlook is calm")
            found = await asyncio.gather(
                *(session.call_tool("search_pages", {"question": q, "k": 1}) for q in questions)
            )
            assert all(len(images(result)) == 1 for result in found)
            return [text_of(result).splitlines()[0] for result in found], greeting["serverInfo"][
                "name"
            ]

    first_lines, name = asyncio.run(talk())
    assert name == "vdr"
    for number, line in enumerate(first_lines, start=1):
        assert line.startswith(f"[1] report.pdf, page {number} of 3, score ")


def test_over_stdio_half_a_surrogate_pair_is_answered_and_the_next_call_too(
    quick_python: PreparedPython | FreshPython,
    vdr: Callable[..., Result],
    docs: Path,
    tmp_path: Path,
    page_store: object,
) -> None:
    environment = with_sources(VDR_INDEX=str(tmp_path / "ix"))
    options = ["--model", "nano", "--max-visual-tokens", "300"]
    done = vdr("index", docs / "report.pdf", *options, VDR_INDEX=environment["VDR_INDEX"])
    assert done.exit_code == 0, done.stderr
    greeting = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    halves = [text[-2000:] for name, text in HALF_PAIRS.items() if name != "two halves"]
    smile = HALF_PAIRS["two halves"]  # one character, when JSON says it
    asked = [
        {"name": "search_pages", "arguments": {"question": text, "k": 1}}
        for text in (*halves, smile)
    ]
    messages: list[dict[str, Any]] = [
        {"id": 0, "method": "initialize", "params": greeting},
        {"method": "notifications/initialized"},
        *({"id": n, "method": "tools/call", "params": call} for n, call in enumerate(asked, 1)),
        {"id": 90, "method": "tools/call", "params": {"name": "\ud83d", "arguments": {}}},
        {"id": 91, "method": "resources/read", "params": {"uri": "vdr-page:\ud83d"}},
        {"id": 92, "method": "tools/list"},
    ]
    lines = [json.dumps({"jsonrpc": "2.0", **message}) for message in messages]
    assert "\\ud83d" in lines[2]  # an escape, as JSON allows
    with quick_python.start(
        *("-m", "vdr_integrations", "mcp", "--device", "cpu"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for line in [*lines[:4], "no JSON", '{"jsonrpc": "2.0", "\\ud83d": 1}', *lines[4:]]:
            server.stdin.write(f"{line}\n")
        server.stdin.flush()
        replies: dict[int, dict[str, Any]] = {}
        while len(replies) < len(messages) - 1:
            reply = json.loads(server.stdout.readline())
            if "id" in reply:
                replies[reply["id"]] = reply
        server.stdin.close()
    for number in range(1, len(halves) + 1):
        assert replies[number]["result"]["isError"] is True
        assert "Correct it and call again" in replies[number]["result"]["content"][0]["text"]
    assert replies[len(asked)]["result"]["isError"] is False
    assert replies[90]["result"]["isError"] is True
    assert "error" in replies[91]
    assert len(replies[92]["result"]["tools"]) == 3
    assert server.returncode == 0


NOISY = """
import os, subprocess, sys
from vdr_integrations import PageSearcher
from vdr_integrations.agents.page_service import PageService
from vdr_integrations.mcp.server import MCP_LIMITS, serve_stdio

class UnreadableModel(PageSearcher):
    @property
    def encoder(self):
        raise OSError("Input/output error\\nof a disk")

def open_service():
    print("from python", flush=True)
    os.write(1, b"from a library\\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    return PageService(UnreadableModel("none"), limits=MCP_LIMITS)

serve_stdio(open_service)
print("after")
"""


@pytest.fixture(scope="module")
def noisy() -> tuple[list[str], list[str]]:
    """What a server wrote to stdout and stderr that prints much and cannot read its model."""
    client = {"name": "test", "version": "1"}
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    greeting = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    with subprocess.Popen(
        [sys.executable, "-c", NOISY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=with_sources(),
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdin.write(f"{json.dumps(greeting)}\n")
        server.stdin.flush()
        said, errors = [server.stdout.readline()], [server.stderr.readline()]
        while "error: " not in errors[-1].lower():
            errors.append(server.stderr.readline())
            assert errors[-1], "it never said that it could not read the model"
        server.stdin.close()
        rest, more = server.stdout.read(), server.stderr.read()
    assert server.returncode == 0
    return [*said, *rest.splitlines()], [*errors, *more.splitlines()]


def test_whatever_prints_to_stdout_does_not_reach_the_protocol(
    noisy: tuple[list[str], list[str]],
) -> None:
    said, errors = noisy
    assert json.loads(said[0])["result"]["serverInfo"]["name"] == "vdr"
    assert said[1:] == ["after"]
    assert errors[:3] == ["from python\n", "from a library\n", "from a child\n"]


def test_a_model_that_cannot_be_read_ahead_is_one_line_of_error(
    noisy: tuple[list[str], list[str]],
) -> None:
    _, errors = noisy
    (line,) = errors[3:]
    assert line.startswith("error: ")
    assert "Input/output error" in line


def test_without_an_index_each_call_says_so_and_an_interrupt_ends_the_server(
    vdr: Callable[..., Result], tmp_path: Path
) -> None:
    client = {"name": "test", "version": "1"}
    greeting = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    search = {"name": "search_pages", "arguments": {"question": "costs"}}
    messages: list[dict[str, Any]] = [
        {"id": 0, "method": "initialize", "params": greeting},
        {"method": "notifications/initialized"},
        {"id": 1, "method": "tools/call", "params": search},
        {"id": 2, "method": "resources/list"},
    ]
    with (
        interruptible(),
        subprocess.Popen(
            [*RUN, "mcp", "--index", str(tmp_path / "none")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=with_sources(),
        ) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        for message in messages:
            server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        server.stdin.flush()
        replies = [json.loads(server.stdout.readline()) for _ in range(3)]
        server.send_signal(signal.SIGINT)
        assert server.wait(HANG_S) == 130
    found = {reply["id"]: reply["result"] for reply in replies}
    assert found[1]["isError"] is True
    assert "there is no index" in found[1]["content"][0]["text"]
    assert found[2]["resources"] == []
    unset = vdr("mcp", "--index", tmp_path, "--password-env", "NOT_SET_ANYWHERE")
    assert unset.exit_code == 1
    assert "NOT_SET_ANYWHERE" in unset.stderr
