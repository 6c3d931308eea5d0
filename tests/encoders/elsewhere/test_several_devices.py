"""One encoder on several devices: processes on the CPU, of which some are killed."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import select
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.machine import files_left
from tests.patience import HANG_S
from tests.tiny_checkpoint import write_tiny_checkpoint

from vdr_integrations import DenseEncoder
from vdr_integrations.encoders.elsewhere.device_process import DeviceProcess
from vdr_integrations.encoders.elsewhere.server_address import ServerAddress
from vdr_integrations.encoders.elsewhere.server_origin import ServerOrigin
from vdr_integrations.encoders.elsewhere.several_devices import SeveralDevices, on_devices
from vdr_integrations.encoders.load_options import model_to_load
from vdr_integrations.encoders.runtime.device_list import choose_devices
from vdr_integrations.errors import (
    CheckpointError,
    EncodingError,
    OptionError,
    QueryTooLongError,
    ResourceError,
)
from vdr_integrations.serve import build_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.applications import Starlette
    from tests.prepared.python import PreparedPython

    from vdr_integrations.encoders.runtime.running_model import PassOfModel

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGSTOP and SIGKILL")

PAGES = [
    Image.effect_noise((56 + 28 * (number % 4), 84), 90).convert("RGB") for number in range(11)
]
QUESTIONS = [f"what is in {'very ' * number}long table {number}?" for number in range(9)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("devices") / "vdr-2b-multi-v1"
    return write_tiny_checkpoint(folder, seed=28)


@pytest.fixture(scope="module")
def alone(checkpoint: Path) -> DenseEncoder:
    return DenseEncoder.load(str(checkpoint), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def pair(checkpoint: Path) -> DenseEncoder:
    return DenseEncoder.load(str(checkpoint), device="cpu,cpu", dtype="float32")


def several(encoder: DenseEncoder) -> SeveralDevices:
    assert isinstance(encoder.core, SeveralDevices)
    return encoder.core


def processes(encoder: DenseEncoder) -> list[int]:
    return several(encoder).process_ids


def tell(number: signal.Signals, process_ids: list[int]) -> None:
    for process_id in process_ids:
        os.kill(process_id, number)


def is_running(process_id: int) -> bool:
    """Whether a process of another process's children has not ended."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def test_vectors_and_their_order_are_those_of_one_device(
    pair: DenseEncoder, alone: DenseEncoder
) -> None:
    np.testing.assert_allclose(pair.encode_pages(PAGES), alone.encode_pages(PAGES), atol=1e-5)
    np.testing.assert_allclose(
        pair.encode_queries(QUESTIONS), alone.encode_queries(QUESTIONS), atol=1e-5
    )
    assert pair.encode_pages([]).shape == pair.encode_queries([]).shape == (0, alone.dimension)


def test_the_encoder_is_that_of_one_device(pair: DenseEncoder, alone: DenseEncoder) -> None:
    assert type(pair) is type(alone)
    assert pair.fingerprint == alone.fingerprint
    assert (pair.dimension, pair.pixel_budget) == (alone.dimension, alone.pixel_budget)
    assert pair.core.query_tokens("two words") == alone.core.query_tokens("two words")
    assert pair.core.troubles() == []
    assert "device=cpu,cpu" in repr(pair)


def test_other_options_and_pickles_use_the_same_processes(
    pair: DenseEncoder, checkpoint: Path
) -> None:
    other = DenseEncoder.load(str(checkpoint), device=["cpu", "cpu"], dtype="float32", dimension=32)
    again = pickle.loads(pickle.dumps(pair))
    assert other.core is again.core is pair.core
    assert len(set(processes(pair))) == 2


async def test_callers_in_threads_and_tasks_get_their_own_results(
    pair: DenseEncoder, alone: DenseEncoder
) -> None:
    expected, asked = alone.encode_pages(PAGES), alone.encode_queries(QUESTIONS)
    passes: list[PassOfModel] = []
    pair.core.watch(passes.append)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(pair.encode_pages, [[page] for page in PAGES]))
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5)
    tasks = [pair.aencode_queries([question]) for question in QUESTIONS]
    np.testing.assert_allclose(np.concatenate(await asyncio.gather(*tasks)), asked, atol=1e-5)
    for kind, items in ("pages", PAGES), ("queries", QUESTIONS):
        assert sum(one.items for one in passes if one.kind == kind) == len(items)
    assert all(one.seconds > 0 and 1 <= one.requests <= one.items for one in passes)


def test_an_error_keeps_its_type_and_its_words(pair: DenseEncoder, alone: DenseEncoder) -> None:
    long = "word " * 40_000
    with pytest.raises(QueryTooLongError) as here:
        alone.encode_queries([long])
    with pytest.raises(QueryTooLongError) as there:
        pair.encode_queries(["short", long])
    assert str(there.value) == str(here.value)
    assert len(pair.encode_queries(["short"])) == 1


def test_processes_end_with_their_encoder(checkpoint: Path) -> None:
    encoder = DenseEncoder.load(str(checkpoint), device="cpu,cpu", dtype="float16")
    ids = processes(encoder)
    assert len([one for one in ids if is_running(one)]) == 2
    encoder.encode_queries(["a"])
    del encoder
    gc.collect()
    assert not any(map(is_running, ids))


def test_what_a_killed_device_had_goes_to_the_other_until_none_is_left(
    checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder, here = (
        DenseEncoder.load(str(checkpoint), device=device, dtype="bfloat16")
        for device in ("cpu,cpu", "cpu")
    )
    first, second = processes(encoder)
    prepared = [encoder.prepare_page(page) for page in PAGES]
    tell(signal.SIGSTOP, [first, second])  # they get pages, and do nothing with them
    begun, waiting = encoder.submit_pages(prepared), encoder.submit_pages(prepared)
    assert waiting.cancel()
    tell(signal.SIGKILL, [first])
    tell(signal.SIGCONT, [second])
    found = encoder.finish(begun.result(HANG_S))
    np.testing.assert_allclose(found, here.encode_pages(PAGES), atol=1e-5)
    assert waiting.cancelled()
    assert processes(encoder) == [second]
    (trouble,) = encoder.core.troubles()
    assert "cpu process 1 was lost" in trouble
    assert "signal 9" in trouble
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    health = health_of(build_app(encoder))
    assert health().status_code == 200

    assert_a_query_does_not_wait_for_all_pages(encoder, second)

    tell(signal.SIGSTOP, [second])
    rows = encoder.submit_pages(prepared)
    tell(signal.SIGKILL, [second])
    with pytest.raises(EncodingError, match=r"process 1: .*signal 9.*process 2: .*signal 9"):
        rows.result(HANG_S)
    with pytest.raises(EncodingError, match="all of its devices were lost"):
        encoder.encode_queries(["a"])
    assert health().status_code == 503  # so that whoever runs the server starts it again


def assert_a_query_does_not_wait_for_all_pages(encoder: DenseEncoder, process: int) -> None:
    kinds: list[str] = []
    core = encoder.core
    core.watch(lambda ran: kinds.append(ran.kind))
    tell(signal.SIGSTOP, [process])
    pages = core.submit([core.prepare_image(page) for page in PAGES] * 2, budget=1)
    query = core.submit([core.prepare_query("a")])
    tell(signal.SIGCONT, [process])
    pages.result(HANG_S)
    query.result(HANG_S)
    assert kinds.count("pages") == 2 * len(PAGES)  # a window each
    assert kinds.index("queries") <= 2  # so many the device has already


def health_of(app: Starlette) -> Callable[[], httpx.Response]:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/healthz")

    return lambda: asyncio.run(asked())


def test_a_device_that_cannot_load_the_model_is_an_error_that_names_it(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "vdr-2b-multi-v1")
    found = model_to_load(str(folder), device="cpu,cpu", dtype="float16")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"^cpu process 1: .*vdr-2b-multi-v1"):
        found.origin.opened(found.contents)


class Broken:
    """Cannot be unpickled."""

    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        return int, ("CUDA error",)


def test_a_process_that_ends_while_it_loads_says_why() -> None:
    origin: Any = Broken()
    process = DeviceProcess(origin, name="m", device="cuda:1", threads=1)
    with pytest.raises(
        EncodingError, match=r"m cannot be loaded on cuda:1: .*ValueError.*CUDA err"
    ):
        process.facts()
    process.end()


@pytest.mark.parametrize("limited", ["files", "program"])
def test_a_machine_that_starts_no_process_is_a_resource_error(
    monkeypatch: pytest.MonkeyPatch, limited: str
) -> None:
    origin: Any = Broken()
    if limited == "program":
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with (
        files_left(3) if limited == "files" else nullcontext(),
        pytest.raises(ResourceError, match="m: a process for cuda:1 cannot be started"),
    ):
        DeviceProcess(origin, name="m", device="cuda:1", threads=1)


PARENT = """
import os, sys
from PIL import Image
from vdr_integrations import load_encoder
from vdr_integrations.errors import ForkedProcessError

if __name__ == "__main__":
    encoder = load_encoder(sys.argv[1], device="cpu,cpu")
    page = Image.new("RGB", (56, 56), "teal")
    encoder.encode_pages([page])
    child = os.fork()
    if child == 0:
        try:
            encoder.encode_pages([page])
        except ForkedProcessError as error:
            print("refused:", "in processes of the process" in str(error), flush=True)
        del encoder
        sys.stdin.read()  # it lives longer than its parent
        os._exit(0)
    encoder.encode_pages([page])
    print(*encoder.core.process_ids, flush=True)
    os.waitpid(child, 0)
"""


def test_processes_end_with_a_parent_that_is_killed_also_if_it_was_forked(
    prepared_python: PreparedPython, checkpoint: Path
) -> None:
    with prepared_python.start(
        *("-c", PARENT, str(checkpoint)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        said = sorted(parent.stdout.readline() for _ in range(2))
        assert said[1] == "refused: True\n"
        ids = [int(word) for word in said[0].split()]
        ends = [os.pidfd_open(process_id) for process_id in ids]
        assert len(ids) == 2
        parent.kill()
        for end in ends:
            assert select.select([end], [], [], HANG_S)[0]
            os.close(end)


def test_devices_of_a_server_are_not_chosen_here() -> None:
    origin = ServerOrigin(ServerAddress("http://localhost:1"))
    with pytest.raises(OptionError, match="the model runs on a server"):
        on_devices(origin, choose_devices("cpu,cpu"))
