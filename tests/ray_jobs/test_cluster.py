"""Connecting to a cluster, or saying why not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from tests.patience import HANG_S

DRIVER = """
import sys
from vdr_integrations.errors import OptionError
from vdr_integrations.ray_jobs.cluster import connected

try:
    with connected(sys.argv[1]):
        pass
except OptionError as error:
    print(error)
"""


@pytest.mark.parametrize("is_variable", [False, True])
def test_an_address_where_nobody_answers_is_refused_at_once(is_variable: bool) -> None:  # noqa: FBT001
    with socket.create_server(("127.0.0.1", 0)) as one:
        nobody = f"127.0.0.1:{one.getsockname()[1]}"
    environment = {**os.environ, "RAY_ADDRESS": nobody} if is_variable else None
    ended = subprocess.run(
        [sys.executable, "-c", DRIVER, "auto" if is_variable else nobody],
        timeout=HANG_S,
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert "cannot be used: " in ended.stdout
    assert "refused" in ended.stdout
    assert "give the address of its head" in ended.stdout
