"""Names of tasks and benchmarks -> tasks of mteb."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import mteb
from mteb.abstasks import AbsTask

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["tasks_named"]


def tasks_named(names: Sequence[str], *, languages: Sequence[str] | None = None) -> list[AbsTask]:
    """Find tasks; nothing is downloaded yet.

    Args:
        names: Of tasks (``VDRMultilingualRetrieval``), of benchmarks, which are several tasks
            (``ViDoRe(v1)``), or of classes of tasks (``my_module:MyTask``).
        languages: Only subsets of these languages, as in ISO 639-3 (``eng``); None for all.

    Raises:
        OptionError: A name is not known, or no task has these languages.
    """
    found = [task for name in names for task in _named(name)]
    if languages is None:
        return found
    kept = [task for task in found if _keep_languages(task, list(languages))]
    if not kept:
        raise OptionError(
            f"languages {', '.join(languages)}: no subset of {', '.join(names)} has them. "
            f"Languages are written as in ISO 639-3, such as eng, ita, fra."
        )
    return kept


def _keep_languages(task: AbsTask, languages: list[str]) -> bool:
    """Leave out subsets of other languages; whether one is left."""
    if not set(languages) & set(task.languages):  # mteb's filter raises then
        return False
    task.filter_languages(languages)
    return True


def _named(name: str) -> list[AbsTask]:
    if ":" in name:
        return [_task_of_class(name)]
    benchmarks = {benchmark.name: benchmark for benchmark in mteb.get_benchmarks()}
    if name in benchmarks:
        return list(benchmarks[name].tasks)
    try:
        return [mteb.get_task(name)]
    except KeyError as error:
        raise OptionError(
            f"{name!r} is neither a task nor a benchmark of mteb {mteb.__version__}: "
            f"{error.args[0]} For a task of your own give MODULE:CLASS."
        ) from error


def _task_of_class(name: str) -> AbsTask:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise OptionError(
            f"{name!r}: {error}. It must be MODULE:CLASS, and the module must be importable from "
            f"here."
        ) from error
    if not (isinstance(found, type) and issubclass(found, AbsTask)):
        raise OptionError(
            f"{name!r} is no class of a task; it must be a subclass of mteb's AbsTask."
        )
    return found()
