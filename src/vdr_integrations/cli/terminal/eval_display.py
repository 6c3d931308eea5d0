"""The result of ``vdr eval``: tables on stdout, and everything as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.evaluation import MEASURES, PLACES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.evaluation import Evaluation, LeftOut, Mean, RankedQuestion
    from vdr_integrations.evaluation.asking import Place

__all__ = ["as_json", "left_out_lines", "show_evaluation"]

_MAIN = "ndcg@5"
_OTHERS = ("hit@1", "recall@5", "mrr")
_PARTS = ("scans", "born digital")
_NARROWEST = 100
"""Columns of a table that no terminal limits."""


def show_evaluation(found: Evaluation) -> None:
    """Print a table for each place in which questions were asked, and the differences."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, _NARROWEST))
    count = len(found.questions)
    for place in PLACES:
        where = (
            "within the question's own document"
            if place == "within"
            else f"among all {found.page_count} pages"
        )
        table = Table(title=f"{count} questions, {where}", title_justify="left", box=box.SIMPLE)
        table.add_column("system", overflow="fold")
        for heading in ("NDCG@5", "95 %", "hit@1", "recall@5", "MRR"):
            table.add_column(heading, justify="right")
        parts = [name for name in _PARTS if any(found.groups[name])]
        if len(parts) == 1:
            parts = []  # all questions are in it
        for part in parts:
            table.add_column(f"{part} ({sum(found.groups[part])})", justify="right")
        for system in found.found:
            main = found.mean(system, place, _MAIN)
            table.add_row(
                Text(one_line(system)),
                _number(main.mean),
                f"{_number(main.low)} to {_number(main.high)}",
                *(_number(found.mean(system, place, one).mean) for one in _OTHERS),
                *(_number(found.mean(system, place, _MAIN, part).mean) for part in parts),
            )
        console.print(table)
    _show_kinds(found, console)
    _show_differences(found, console)


def _show_kinds(found: Evaluation, console: Console) -> None:
    kinds = [name for name in found.groups if name.startswith(("kind ", "language "))]
    if not kinds:
        return
    table = Table(
        title="NDCG@5 within the question's own document", title_justify="left", box=box.SIMPLE
    )
    table.add_column("questions", overflow="fold")
    for system in found.found:
        table.add_column(Text(one_line(system)), justify="right", overflow="fold")
    for kind in kinds:
        name = f"{kind.partition(' ')[2]} ({sum(found.groups[kind])})"
        means = (found.mean(system, "within", _MAIN, kind).mean for system in found.found)
        table.add_row(Text(one_line(name)), *map(_number, means))
    console.print(table)


def _show_differences(found: Evaluation, console: Console) -> None:
    systems = list(found.found)
    if len(systems) < 2:
        return
    table = Table(
        title=f"NDCG@5 less that of {one_line(systems[0])}, with its 95 % interval",
        title_justify="left",
        box=box.SIMPLE,
    )
    table.add_column("system", overflow="fold")
    table.add_column("within", justify="right")
    table.add_column("among all", justify="right")
    for system in systems[1:]:
        table.add_row(
            Text(one_line(system)),
            *(_signed(found.difference(system, systems[0], place, _MAIN)) for place in PLACES),
        )
    console.print(table)


def left_out_lines(left: Sequence[LeftOut]) -> list[str]:
    """Why questions were left out, the most frequent cause first."""
    counted = Counter(one.reason for one in left)
    return [
        f"{count} question{'' if count == 1 else 's'} left out: {reason}."
        for reason, count in counted.most_common()
    ]


def as_json(
    found: Evaluation, left: Sequence[LeftOut], details: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Everything that was measured, for programs.

    Args:
        found: The results.
        left: The questions that were not asked.
        details: For each system, what it is.
    """
    systems = list(found.found)
    return {
        "pages": found.page_count,
        "measures": list(MEASURES),
        "groups": {name: sum(members) for name, members in found.groups.items()},
        "systems": {
            system: {
                **details.get(system, {}),
                **{place: _means(found, system, place) for place in PLACES},
                "less_first": {
                    place: {
                        measure: found.difference(system, systems[0], place, measure).to_dict()
                        for measure in MEASURES
                    }
                    for place in PLACES
                },
            }
            for system in systems
        },
        "questions": [
            {
                "id": asked.question.question_id,
                "question": asked.question.text,
                "relevant": [
                    {"source": source, "page_number": number, "grade": grade}
                    for (source, number), grade in asked.relevant.items()
                ],
                "language": asked.question.language,
                "kinds": list(asked.question.kinds),
                "systems": {
                    system: {place: _result(found.found[system][place][at]) for place in PLACES}
                    for system in systems
                },
            }
            for at, asked in enumerate(found.questions)
        ],
        "left_out": [
            {"id": one.question.question_id, "question": one.question.text, "reason": one.reason}
            for one in left
        ],
    }


def _means(found: Evaluation, system: str, place: Place) -> dict[str, Any]:
    return {
        group: {
            measure: found.mean(system, place, measure, group).to_dict() for measure in MEASURES
        }
        for group in found.groups
    }


def _result(one: RankedQuestion) -> dict[str, Any]:
    top = one.top
    return {
        **dict(zip(MEASURES, one.measures.tolist(), strict=True)),
        "rank": one.rank,
        "first": None
        if top is None
        else {"source": top[0][0], "page_number": top[0][1], "score": top[1]},
    }


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.3f}".replace("0.", ".", 1)  # noqa: PLR0124  # NaN


def _signed(value: Mean) -> str:
    if not value.questions:
        return "-"
    return f"{value.mean:+.3f} ({value.low:+.3f} to {value.high:+.3f})"
