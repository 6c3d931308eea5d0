"""Each hostile file comes to what it must, and harms neither its neighbours nor the machine."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest
from tests.hostile.cases import CASES
from tests.hostile.hostile_pdf_structure import sound
from tests.hostile.hostile_places import sparse_file
from tests.hostile.processes_of_a_run import (
    children_of,
    few_addresses_left,
    memory_peak_bytes,
    reset_memory_peak,
)
from tests.hostile.sync_with_limits import sync_with_limits
from tests.patience import HANG_S

from vdr_integrations import DenseEncoder
from vdr_integrations.index import DenseIndex, Manifest
from vdr_integrations.pages.processes.process_pool import close_pools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hostile.hostile_case import HostileCase, Outcome

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc of Linux"),
    pytest.mark.timeout(HANG_S),
]

MOST_GROWTH_BYTES = 400 * 10**6
MOST_LABEL_CHARACTERS = 1000
PROCESSES = 2
"""The one that draws, and one that may have been started while another ended."""
SPARE_ADDRESSES = 3 * 2**30
_PASSWORDS = "root:"
"""In /etc/passwd, which some files refer to."""
REFUSALS: frozenset[Outcome] = frozenset({"page refused", "file refused"})


@pytest.fixture(scope="module")
def running() -> Iterator[set[int]]:
    """Processes that run already. In the end no others are left.

    One process opens all files, as it opens those of a folder, and a new one if a file ends it.
    """
    before = children_of(os.getpid())
    yield before
    close_pools()
    assert children_of(os.getpid()) <= before


@pytest.fixture(scope="module")
def encoder(tiny_checkpoint: Path) -> DenseEncoder:
    return DenseEncoder.load(str(tiny_checkpoint), max_visual_tokens=16, dimension=32)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.is_slow else [])
        for case in CASES
    ],
)
def test_a_hostile_file_comes_to_what_it_must(
    case: HostileCase, encoder: DenseEncoder, running: set[int], tmp_path: Path
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    good = folder / "zz good.pdf"  # after almost all hostile files, in the order of names
    good.write_bytes(sound().to_bytes())
    hostile = folder / case.file_name
    case.write(hostile)
    found = set(folder.rglob("*"))
    paths = [hostile, good] if case.is_named else [folder]
    with (
        DenseIndex.create(tmp_path / "index", manifest=Manifest.of(encoder)) as index,
        few_addresses_left(SPARE_ADDRESSES),
    ):
        before_bytes = reset_memory_peak()
        seen = sync_with_limits(index, encoder, paths)
        grown_bytes = memory_peak_bytes() - before_bytes
        pages = index.pages()
        texts = [page.text.strip() for page in pages if page.source == good.as_posix()]
    assert texts == ["first", "second"]
    assert not any(_PASSWORDS in page.text for page in pages)
    assert all(len(page.page_label) <= MOST_LABEL_CHARACTERS for page in pages)
    assert set(folder.rglob("*")) == found
    assert len(children_of(os.getpid()) - running) <= PROCESSES
    assert grown_bytes < MOST_GROWTH_BYTES
    alone = seen.beside(good)
    assert alone.outcome in case.outcomes, alone
    if alone.outcome in REFUSALS:
        assert all(re.search(case.reason, message) for message in alone.refused), alone


MOST_BYTES = 8 * 10**6


def test_the_files_are_small_and_always_the_same(tmp_path: Path) -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    for number, case in enumerate(CASES):
        twins = [tmp_path / f"{number}.1", tmp_path / f"{number}.2"]
        for twin in twins:
            case.write(twin)
        if not twins[0].is_symlink() and twins[0].is_file() and case.write is not sparse_file:
            one, other = (twin.read_bytes() for twin in twins)
            assert one == other, case
            assert len(one) <= MOST_BYTES, case
