from __future__ import annotations

import pytest

from vdr_integrations.cli.terminal.time_left import Pace, Pacer, clock_time
from vdr_integrations.index import SyncProgress


class Clock:
    """Shows the time that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def state(
    *, pages_encoded: int = 0, pages_done: int = 0, pages_total: int | None = None
) -> SyncProgress:
    return SyncProgress(
        documents_done=0,
        documents_total=1,
        pages_encoded=pages_encoded,
        source="a.pdf",
        pages_done=pages_done,
        pages_total=pages_total,
    )


def test_the_time_left_is_that_of_the_pages_left_also_of_one_document() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    clock.now += 600  # unchanged files were read
    assert pacer.pace(state(pages_total=500)) == Pace(None, None)
    clock.now += 10
    halfway = state(pages_encoded=100, pages_done=100, pages_total=500)
    assert pacer.pace(halfway) == Pace(10.0, 40.0)


def test_pages_that_were_kept_cost_no_time() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    pacer.pace(state(pages_done=400, pages_total=500))
    clock.now += 10
    assert pacer.pace(state(pages_encoded=20, pages_done=420, pages_total=500)) == Pace(2.0, 40.0)


def test_nothing_is_said_about_what_nobody_knows() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    assert pacer.pace(state()) == Pace(None, None)
    assert pacer.pace(state(pages_encoded=1, pages_done=1, pages_total=3)) == Pace(None, None)
    clock.now += 2
    assert pacer.pace(state(pages_encoded=1, pages_done=1)) == Pace(0.5, None)
    assert pacer.pace(state(pages_encoded=4, pages_done=4, pages_total=3)) == Pace(2.0, 0.0)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-:--:--"), (0, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (1e6, "277:46:40")],
)
def test_seconds_are_shown_as_a_clock_does(seconds: float | None, shown: str) -> None:
    assert clock_time(seconds) == shown
