"""``vdr serve`` as a process: eight client processes, its end by a signal, and its start again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from tests.patience import HANG_S
from tests.serve.conftest import BUDGET
from tests.serving import free_port, serving_process

from vdr_integrations import DenseEncoder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.prepared.fresh_python import FreshPython
    from tests.prepared.python import PreparedPython

    Python = PreparedPython | FreshPython

pytestmark = pytest.mark.usefixtures("loopback", "seen_pages")

NANO = ("--model", "nano", "--device", "cpu", "--dtype", "float32")
CLIENT = """
import asyncio, json, sys
from PIL import Image
from vdr_integrations import load_encoder

encoder = load_encoder(sys.argv[1])
own = int(sys.argv[2])
sys.stdout.write("ready\\n")
sys.stdout.flush()

async def ask(n):
    shown = [Image.new("RGB", (84, 56), (own, n, 90))] if n % 4 == 0 else []
    texts = [f"{'word ' * (n % 5)}{own} of {n}"]
    pages = await encoder.aencode_pages(shown)
    return [*(await encoder.aencode_queries(texts)).tolist(), *pages.tolist()]

async def all_of_them():
    rounds = []
    for _ in range(int(sys.argv[3])):
        rounds.append(await asyncio.gather(*(ask(n) for n in range(8))))
    return rounds

json.dump(asyncio.run(all_of_them()), sys.stdout)
"""


def client(python: Python, address: str, own: int, rounds: int) -> Any:
    arguments = ("-c", CLIENT, address, str(own), str(rounds))
    return python.start(*arguments, stdout=subprocess.PIPE, text=True)


def expected(own: int) -> list[list[list[float]]]:
    from PIL import Image

    encoder = DenseEncoder.load("nano", device="cpu", dtype="float32")
    texts = [f"{'word ' * (n % 5)}{own} of {n}" for n in range(8)]
    queries = encoder.encode_queries(texts)
    pages = {n: Image.new("RGB", (84, 56), (own, n, 90)) for n in range(0, 8, 4)}
    found = [[query] for query in queries]
    for n, page in pages.items():
        found[n].append(encoder.encode_pages([page])[0])
    return [[vector.tolist() for vector in one] for one in found]


def check(said: str, own: int, rounds: int) -> None:
    found = json.loads(said)
    assert len(found) == rounds
    wanted = expected(own)
    for one in found:
        for vectors, right in zip(one, wanted, strict=True):
            np.testing.assert_allclose(vectors, right, atol=1e-5)


def test_eight_processes_share_one_model_and_its_batches(quick_python: Python) -> None:
    with serving_process(quick_python, *NANO, "--port", "0") as (_, address):
        clients = [client(quick_python, address, own, 2) for own in range(8)]
        for own, one in enumerate(clients):
            with one:
                said = one.communicate(timeout=HANG_S)[0]
                assert one.returncode == 0
                check(said.removeprefix("ready\n"), own, 2)
        metrics = httpx.get(f"{address}/metrics").text
        lines = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line[0] != "#")
        passes = float(lines['vdr_batch_requests_count{kind="queries"}'])
        requests = float(lines['vdr_batch_requests_sum{kind="queries"}'])
        assert float(lines['vdr_encoded_total{kind="queries"}']) == 8 * 8 * 2
        assert float(lines['vdr_encoded_total{kind="pages"}']) == 8 * 2 * 2
        assert passes < requests  # some passes served several processes


def test_a_server_that_is_killed_and_started_again_loses_nothing(quick_python: Python) -> None:
    port = str(free_port())
    options = (*NANO, "--port", port)
    with serving_process(quick_python, *options) as (first, address):
        clients = [client(quick_python, address, own, 6) for own in range(3)]
        for one in clients:
            assert one.stdout.readline() == "ready\n"
        while "vdr_encoded_total" not in httpx.get(f"{address}/metrics").text:
            pass
        first.kill()
        first.wait(HANG_S)
    with serving_process(quick_python, *options):
        for own, one in enumerate(clients):
            with one:
                said = one.communicate(timeout=HANG_S)[0]
                assert one.returncode == 0
                check(said, own, 6)


def test_with_an_index_it_says_where_to_search_and_serves_its_model(
    quick_python: Python, late_folder: Path
) -> None:
    options = ("--index", str(late_folder), "--hybrid", "--device", "cpu", "--port", "0")
    with serving_process(quick_python, *options) as (process, address):
        assert process.stderr.readline() == (f"Search its 4 pages in a browser: open {address}/\n")
        assert "<title>Visual search</title>" in httpx.get(f"{address}/").text
        facts = httpx.get(f"{address}/search").json()
        assert (facts["index"], facts["model"], facts["hybrid"]) == ("ix", "nano-colqwen2", True)
        reply = httpx.post(f"{address}/search", json={"question": "Revenue"}, timeout=HANG_S)
        hit = reply.json()["hits"][0]
        assert hit["citation"] == "report.pdf, page 1 of 3"
        assert httpx.get(f"{address}/{hit['picture_url']}", timeout=HANG_S).status_code == 200
        (model,) = httpx.get(f"{address}/v1/models").json()["data"]
        assert model["max_visual_tokens"] == BUDGET  # as in the index
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_S) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(quick_python: Python, number: signal.Signals) -> None:
    with serving_process(quick_python, *NANO, "--port", "0") as (process, address):
        assert httpx.get(f"{address}/healthz").status_code == 200
        process.send_signal(number)
        assert process.wait(HANG_S) == 0
        assert process.stderr.read() == ""
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/healthz")


def test_it_says_what_is_wrong_before_it_loads_a_model(
    quick_python: Python, monkeypatch: pytest.MonkeyPatch, late_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.delenv("VDR_SERVER_KEY", raising=False)
    port = free_port()
    import socket

    with socket.create_server(("127.0.0.1", port)):
        for options, told in (
            (("--port", str(port)), "choose another --port"),
            (("--host", "0.0.0.0"), "VDR_SERVER_KEY"),
            (("--host", "192.0.2.1", "--port", "0"), "VDR_SERVER_KEY"),
            (("--hybrid",), "add --index DIR"),
            (("--index", str(tmp_path / "none"), "--port", "0"), "no index"),
            (("--index", str(late_folder), "--port", "0"), "one a token"),  # not nano
            (("--index", str(late_folder), "--password-env", "NO_SUCH"), "not set"),
        ):
            arguments = ("-m", "vdr_integrations", "serve", *NANO, *options)
            with quick_python.start(*arguments, stderr=subprocess.PIPE, text=True) as ended:
                said = ended.communicate(timeout=HANG_S)[1]
                assert ended.returncode == 1
                assert told in said
                assert "Traceback" not in said


FORKING = """
import os, sys
from vdr_integrations import DenseEncoder

encoder = DenseEncoder.load(sys.argv[1])
before = encoder.encode_queries(["a", "b"])
child = os.fork()
same = (encoder.encode_queries(["a", "b"]) == before).all()
if child == 0:
    os._exit(0 if same else 1)
_, status = os.waitpid(child, 0)
sys.exit(0 if same and status == 0 else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_its_own_connections(quick_python: Python) -> None:
    with (
        serving_process(quick_python, *NANO, "--port", "0") as (_, address),
        quick_python.start("-c", FORKING, address) as forking,
    ):
        assert forking.wait(HANG_S) == 0


def test_a_server_that_is_told_to_use_itself_says_so(quick_python: Python) -> None:
    port = free_port()
    asks = ("--model", f"http://localhost:{port}", "--port", str(port))
    arguments = ("-m", "vdr_integrations", "serve", *asks)
    with quick_python.start(*arguments, stderr=subprocess.PIPE, text=True) as ended:
        assert "would ask itself" in ended.communicate(timeout=HANG_S)[1]
        assert ended.returncode == 1


def test_it_must_be_told_what_to_serve(quick_python: Python) -> None:
    arguments = ("-m", "vdr_integrations", "serve")
    with quick_python.start(*arguments, stderr=subprocess.PIPE, text=True) as ended:
        assert "--model MODEL, or --index DIR" in ended.communicate(timeout=HANG_S)[1]
        assert ended.returncode == 1
