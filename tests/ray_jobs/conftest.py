"""A Ray of two logical cores for actors that draw, and two for those that encode."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import ray
from pytest_socket import enable_socket, socket_allow_hosts
from tests.ray_jobs.ray_runs import SMALL_RAY

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Ray use of itself what it has deprecated."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"))


@pytest.fixture(autouse=True)
def _no_network() -> None:
    """Sockets that reach this machine, and no other; Ray's own are no sockets of Python."""
    enable_socket()
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(scope="session", autouse=True)
def cluster() -> Iterator[Any]:
    """Ray on this machine."""
    enable_socket()
    ray.init(**SMALL_RAY)
    yield ray
    ray.shutdown()
