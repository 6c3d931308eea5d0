"""MaxSim of one query with many pages, on one CPU: each precision beside maxsim-cpu.

    python -m benchmarks.maxsim --pages 500 --pairs 5

Prints CPU time a page, and the largest error beside float64. maxsim-cpu is compared with where it
is installed (pip install maxsim-cpu).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.synthetic_pages import SyntheticPages
from benchmarks.timing import compare, machine
from vdr_integrations.index import maxsim_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from vdr_integrations.index.maxsim import Precision

_PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "int8")


def main() -> None:
    """Time and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=500, help="of 736 tokens of 128 numbers")
    parser.add_argument("--pairs", type=int, default=5, help="timed in turn")
    parser.add_argument("--device", default=None, help="cuda for a GPU")
    options = parser.parse_args()
    print(machine())
    made = SyntheticPages()
    pages, query = list(made.pages(options.pages)), made.query()
    exact = _exact(query, pages)
    theirs = _maxsim_cpu(query, pages)
    precisions = _PRECISIONS if options.device is None else _PRECISIONS[:2]
    for precision in precisions:

        def ours(precision: Precision = precision) -> NDArray[np.float32]:
            return maxsim_scores(query, pages, precision=precision, device=options.device)

        error = np.abs(ours() / exact - 1).max()
        times = compare(ours, theirs, pairs=options.pairs)
        print(f"{precision:9} {times} | largest relative error {error:.1e}")


def _exact(query: NDArray[np.float32], pages: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    wide = query.astype(np.float64)
    return np.array([(page.astype(np.float64) @ wide.T).max(axis=0).sum() for page in pages])


def _maxsim_cpu(
    query: NDArray[np.float32], pages: list[NDArray[np.float32]]
) -> Callable[[], object]:
    if importlib.util.find_spec("maxsim_cpu") is None:
        print("theirs: numpy, one product a page (maxsim-cpu is not installed)")
        return lambda: [float((page @ query.T).max(axis=0).sum()) for page in pages]
    score: Callable[..., object] = importlib.import_module("maxsim_cpu").maxsim_scores_variable
    print("theirs: maxsim-cpu")
    return lambda: score(query, pages)


if __name__ == "__main__":
    main()
