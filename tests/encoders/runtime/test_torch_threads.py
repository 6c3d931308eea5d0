from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import torch

from vdr_integrations.encoders.runtime.torch_threads import on_cores, share_out

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_every_item_is_worked_once() -> None:
    assert on_cores(lambda number: number**2, range(100)) == [number**2 for number in range(100)]


def test_a_failure_is_raised_when_all_threads_have_ended() -> None:
    both = threading.Barrier(2)
    ended: list[int] = []

    def work(mine: Iterator[int]) -> None:
        for item in mine:
            both.wait(60)
            if item == 0:
                raise OSError("of the first")
            rows = torch.ones(800, 800)
            for _ in range(30):
                torch.mm(rows, rows)
            ended.append(item)

    for _ in range(5):
        ended.clear()
        with pytest.raises(OSError, match="of the first"):
            share_out(work, [0, 1], threads=2)
        assert ended == [1]


def test_after_a_failure_no_more_items_are_taken() -> None:
    taken: list[int] = []
    failed = threading.Event()

    def work(mine: Iterator[int]) -> None:
        for item in mine:
            taken.append(item)
            if item == 1:
                failed.set()
                raise OSError("of the second")
            failed.wait(60)
            torch.mm(torch.ones(400, 400), torch.ones(400, 400))

    with pytest.raises(OSError, match="of the second"):
        share_out(work, range(100_000), threads=2)
    assert len(taken) < 1000
