"""What mteb hands to a model: batches of questions, or of documents that have an image. Pure."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["TaskInputs", "read_inputs"]

_MODALITIES = {"text", "image", "audio", "video"}


class TaskInputs(NamedTuple):
    """The inputs of one call.

    Attributes:
        kind: ``"questions"`` are encoded as questions, ``"pages"`` as pages.
        items: Strings or PIL images, read batch by batch.
    """

    kind: Literal["questions", "pages"]
    items: Iterator[Any]


def read_inputs(
    batches: Iterable[Mapping[str, Any]], *, role: str | None, task: str, model: str
) -> TaskInputs:
    """Tell questions from pages, and refuse what is neither.

    Args:
        batches: Columns by name, each a list. Columns that are no modality are ignored.
        role: mteb's ``prompt_type``: ``"query"``, ``"document"``, or None for tasks without roles,
            in which images are pages and texts are questions.
        task: Name of the task, for errors.
        model: Name of the model, for errors.

    Raises:
        OptionError: Documents without images, or questions that are not only texts.
    """
    rest = iter(batches)
    first = next(rest, None)
    if first is None:
        return TaskInputs("pages" if role == "document" else "questions", iter(()))
    found = _MODALITIES & set(first)
    if role == "document" or (role is None and found == {"image"}):
        if "image" not in found:
            raise OptionError(
                f"documents of {task} are {_named(found)}; {model} finds pictures of pages. Choose "
                f"a task whose documents are images, such as VDRMultilingualRetrieval, or the "
                f"benchmark ViDoRe(v1)."
            )
        return TaskInputs(
            "pages", (page for batch in chain([first], rest) for page in batch["image"])
        )
    if found != {"text"}:
        what = "inputs" if role is None else "questions"
        raise OptionError(
            f"{what} of {task} are {_named(found)}; {model} is asked with texts. Choose a task "
            f"whose questions are texts, such as VDRMultilingualRetrieval."
        )
    return TaskInputs(
        "questions", (text for batch in chain([first], rest) for text in batch["text"])
    )


def _named(modalities: set[str]) -> str:
    return " and ".join(sorted(modalities)) or "of no kind that mteb names"
