"""Measure a model on tasks of mteb: ``python -m vdr_integrations.mteb MODEL TASK...``.

    python -m vdr_integrations.mteb llamaindex/vdr-2b-multi-v1 VDRMultilingualRetrieval
    python -m vdr_integrations.mteb vidore/colqwen2-v1.0 "ViDoRe(v1)" "ViDoRe(v2)"

Prints NDCG@5 and NDCG@10 of each subset, and keeps mteb's results in a folder. A task that is
there already, with the same model and options, is not run again. Exit codes: 0; 1 after an error; 3
if data of some tasks are closed, which are named on stderr.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from vdr_integrations.defaults import DEFAULT_VISUAL_TOKENS
from vdr_integrations.errors import VdrError
from vdr_integrations.mteb.measured_model import mteb_model, need_mteb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["main", "parser"]

_MEASURES = ("ndcg_at_5", "ndcg_at_10")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Those of the command line; None takes them from there.

    Returns:
        The exit code, see above.
    """
    given = parser().parse_args(arguments)
    try:
        need_mteb()
        return _measure(given)
    except (VdrError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def parser() -> argparse.ArgumentParser:
    """What the command line may say."""
    found = argparse.ArgumentParser(
        prog="python -m vdr_integrations.mteb",
        description="Measure a model on tasks of mteb, and print NDCG of each subset.",
    )
    add = found.add_argument
    add("model", help="a known hub id, nano, nano-colqwen2, or a local folder")
    add("tasks", nargs="+", help="names of tasks or benchmarks, or MODULE:CLASS of your own task")
    add("--dimension", type=int, help="leading components of a vector that are kept; all of them")
    add(
        "--max-visual-tokens",
        type=int,
        default=DEFAULT_VISUAL_TOKENS,
        help="most visual tokens of a page (%(default)s)",
    )
    add("--batch-visual-tokens", type=int, help="visual tokens that go through the model together")
    add("--languages", nargs="+", help="only subsets of these languages: eng ita ...")
    add("--revision", help="branch, tag or commit on the hub")
    add("--device", help="cuda, cuda:1, mps or cpu; cuda:0,cuda:1 for several; the best there is")
    add("--dtype", default="auto", help="bfloat16, float16, float32, int8, float8 (%(default)s)")
    add("--results", default="mteb-results", help="folder of results (%(default)s)")
    return found


def _measure(given: argparse.Namespace) -> int:
    import mteb

    from vdr_integrations.mteb.task_names import tasks_named

    tasks = tasks_named(given.tasks, languages=given.languages)
    model = mteb_model(
        given.model,
        revision=given.revision,
        device=given.device,
        dtype=given.dtype,
        dimension=given.dimension,
        max_visual_tokens=given.max_visual_tokens,
        batch_visual_tokens=given.batch_visual_tokens,
    )
    results = mteb.evaluate(model, tasks, cache=mteb.ResultCache(given.results))
    sys.stdout.write(f"{model.mteb_model_meta.model_name_with_experiment}\n")
    sys.stdout.write(f"{'task':44} {'subset':12} {'split':8} NDCG@5  NDCG@10\n")
    for result in results.task_results:
        for split, subsets in result.scores.items():
            for scores in subsets:
                sys.stdout.write(_line(result.task_name, split, scores))
    for closed in results.exceptions or []:
        sys.stderr.write(f"warning: {closed.task_name} was not measured: {closed.exception}\n")
    return 3 if results.exceptions else 0


def _line(task: str, split: str, scores: Mapping[str, Any]) -> str:
    figures = "  ".join(f"{scores[measure]:.4f}" for measure in _MEASURES)
    return f"{task:44} {scores['hf_subset']:12} {split:8} {figures}\n"


if __name__ == "__main__":
    sys.exit(main())
