"""MaxSim of one query with many pages, on one machine, compared with three other ways.

    python -m benchmarks.maxsim --pages 500 --rounds 7

It prints microseconds of CPU and wall time per page (medians of rounds in which all ways take
turns) and the largest error against float64. The other ways: numpy, one product per page; torch's
einsum over pages padded to the longest of a batch of 128, as colpali-engine scores; maxsim-cpu if
it is installed (pip install maxsim-cpu).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.synthetic_pages import SyntheticPages
from benchmarks.timing import machine
from vdr_integrations.index import maxsim_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Pages = Sequence[NDArray[np.float32]]

_PADDED_PAGES = 128


def main() -> None:
    """Time and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=500, help="of about 736 tokens of 128 numbers")
    parser.add_argument("--rounds", type=int, default=7, help="timed, after one that is not")
    options = parser.parse_args()
    print(machine())
    print_table(pages=options.pages, rounds=options.rounds)


def print_table(*, pages: int, rounds: int) -> None:
    """One line for each way of scoring ``pages`` synthetic pages."""
    made = SyntheticPages()
    of_many_lengths = [
        page[: len(page) - number % 60] for number, page in enumerate(made.pages(pages))
    ]
    query = made.query()
    exact = np.array(
        [
            (page.astype(np.float64) @ query.astype(np.float64).T).max(0).sum()
            for page in of_many_lengths
        ]
    )
    halves = [page.astype(np.float16) for page in of_many_lengths]
    ways: dict[str, Callable[[], object]] = {
        "ours, float16 pages": partial(maxsim_scores, query, halves),
        "ours, float32 pages": partial(maxsim_scores, query, of_many_lengths),
    }
    ways["numpy, a product a page"] = partial(_numpy, query, of_many_lengths)
    ways["torch einsum, padded"] = partial(_padded, query, of_many_lengths)
    if importlib.util.find_spec("maxsim_cpu") is not None:
        theirs = importlib.import_module("maxsim_cpu").maxsim_scores_variable
        ways["maxsim-cpu"] = partial(theirs, query, of_many_lengths)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    errors = {name: _largest_error(score(), exact) for name, score in ways.items()}
    for _ in range(rounds):
        for name, score in ways.items():
            score()  # what another way left behind: threads that still spin, memory of its own
            times[name].append(_timed(score))
    print(f"MaxSim, {len(query)} query tokens, {pages} pages of {len(of_many_lengths[-1])} or so:")
    for name, found in times.items():
        cpu, wall = (1e6 / pages * statistics.median(pair[n] for pair in found) for n in (0, 1))
        print(
            f"  {name:24} {cpu:7.1f} us CPU, {wall:7.1f} us wall a page; "
            f"largest relative error {errors[name]:.1e}"
        )


def _numpy(query: NDArray[np.float32], pages: Pages) -> list[float]:
    return [float((page @ query.T).max(axis=0).sum()) for page in pages]


def _padded(query: NDArray[np.float32], pages: Pages) -> torch.Tensor:
    """As colpali-engine's ``score_multi_vector`` does; wrong where all similarities are below 0."""
    asked = torch.from_numpy(query)[None]
    scores: list[torch.Tensor] = []
    for start in range(0, len(pages), _PADDED_PAGES):
        batch = [torch.from_numpy(page) for page in pages[start : start + _PADDED_PAGES]]
        padded = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)
        scores.append(torch.einsum("bnd,csd->bcns", asked, padded).amax(3).sum(2)[0])
    return torch.cat(scores)


def _largest_error(scores: object, exact: NDArray[np.float64]) -> float:
    return float(np.abs(np.asarray(scores, np.float64) / exact - 1).max())


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


if __name__ == "__main__":
    main()
