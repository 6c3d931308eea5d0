"""The event loop of all calls to servers, when the process ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.prepared.python import PreparedPython

BEGIN = """
import asyncio, atexit, sys, threading
import numpy as np
from vdr_integrations.encoders.elsewhere.io_loop import in_io_loop
from vdr_integrations.encoders.elsewhere.plain_items import PlainPage
from vdr_integrations.encoders.elsewhere.wire import pages_body
"""
ENDS = {
    "while pages are packed": (
        """
pages = [PlainPage(np.zeros((560, 560, 3), np.uint8))] * 8
begun = threading.Event()

async def pack():
    begun.set()
    for _ in range(60):
        pages_body(pages)

in_io_loop(pack())
begun.wait()
""",
        "",
    ),
    "before a thread that goes on": (
        """
async def ask():
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)
    return await asyncio.to_thread(str.upper, "done")

def work():
    threading.main_thread().join()
    print(in_io_loop(ask()).result())

threading.Thread(target=work).start()
""",
        "DONE\n",
    ),
    "and something is asked at the very end": (
        """
async def nothing():
    pass

@atexit.register
def ask():
    try:
        in_io_loop(nothing()).result()
    except Exception as error:
        print(type(error).__name__)

in_io_loop(nothing()).result()
""",
        "EncodingError\n",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_process_ends_well(name: str, prepared_python: PreparedPython) -> None:
    program, said = ENDS[name]
    ended = prepared_python.run("-c", BEGIN + program)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, said, "")
