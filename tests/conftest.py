"""What every test may ask for."""

from __future__ import annotations

import functools
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from pytest_socket import disable_socket, enable_socket, socket_allow_hosts

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tests.prepared.fresh_python import FreshPython
from tests.prepared.python import PreparedPython
from tests.thorough_files import THOROUGH

HERE = Path(__file__).resolve().parent
CAN_PREPARE = hasattr(os, "pidfd_open")
"""Whether this system tells that a forked process has ended."""

# No example is too slow: what other work a machine has is no fault of what is tested.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# Unless they are named, as make mteb, make ray and make stores do.
collect_ignore = ["mteb", "ray_jobs", "stores"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vdr_integrations.pages import PageStore


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of files that take long, and run them first."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.path.relative_to(HERE).as_posix() in THOROUGH:
            item.add_marker("thorough")
    items.sort(key=lambda item: item.get_closest_marker("thorough") is None)


@pytest.fixture(autouse=True)
def _no_network() -> None:
    disable_socket(allow_unix_socket=True)


@pytest.fixture
def loopback(_no_network: None) -> None:
    """Sockets that reach this machine, and no other."""
    enable_socket()
    socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random-weight checkpoint, named as a known one."""
    from tests.tiny_checkpoint import write_tiny_checkpoint

    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "vdr-2b-multi-v1")


@pytest.fixture(scope="session")
def prepared_python() -> Iterator[PreparedPython]:
    """Runs Python programs in processes that have imported torch already."""
    if not CAN_PREPARE:
        pytest.skip("only Linux tells that a forked process has ended")
    python = PreparedPython()
    yield python
    python.close()


@pytest.fixture(scope="session")
def quick_python(request: pytest.FixtureRequest) -> PreparedPython | FreshPython:
    """Starts Python programs: prepared ones where the system allows it."""
    return request.getfixturevalue("prepared_python") if CAN_PREPARE else FreshPython()


@pytest.fixture(scope="session")
def with_framework() -> Iterator[Callable[[str], PreparedPython | None]]:
    """Runs programs in processes that have imported a framework or torch, nothing of this package.

    None where the system has no such processes.
    """
    modules = {
        "llama_index": ["llama_index.core.indices", "llama_index.core.ingestion"],
        "torch": ["torch"],
        "langchain_core": ["langchain_core.vectorstores", "langchain_core.document_loaders"],
    }
    with ExitStack() as started:

        @functools.cache
        def python(package: str) -> PreparedPython | None:
            if not CAN_PREPARE:
                return None
            prepared = PreparedPython(modules[package])
            started.callback(prepared.close)
            return prepared

        yield python


@pytest.fixture(scope="session")
def folder_of_seen_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "seen-pages"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def seen_pages(folder_of_seen_pages: Path) -> Iterator[None]:
    """A page that a test of this run has encoded before is not computed again, here and in
    prepared processes.
    """
    from tests.prepared.seen_pages import FOLDER, remembering

    from vdr_integrations.encoders.forward.backbone import Backbone

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(folder_of_seen_pages))
        patch.setattr(Backbone, "pages", remembering(folder_of_seen_pages))
        yield


@pytest.fixture
def page_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PageStore:
    """An empty page store that is the process's default."""
    from vdr_integrations.pages import PageStore

    root = tmp_path / "page-store"
    monkeypatch.setenv("VDR_PAGE_STORE", str(root))
    return PageStore(root)
