"""What ``vdr models`` shows on stdout: known checkpoints as a table, as lines or as JSON."""

from __future__ import annotations

import sys
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any

from vdr_integrations.cli.terminal.fact_lines import bytes_in_words, say_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.checkpoints.published_facts import PublishedModel
    from vdr_integrations.encoders.checkpoints.refused_models import RefusedModels

__all__ = ["model_facts", "show_model", "show_models"]

_UNKNOWN = "not found"
_HEADINGS = ("Model", "Vector", "Weights", "Page", "Context", "Score")
_LEGEND = (
    "Weights: as bfloat16, and as int8. Page: visual tokens as published, and the pixels of their "
    "sides. Score: of ViDoRe V3, else V2 or V1, measured by others; one of V3 and one of V1 cannot "
    "be compared. `vdr models NAME` shows sources, prompts and notes."
)


def model_facts(model: PublishedModel, checkpoint: Checkpoint) -> dict[str, Any]:
    """Everything about a checkpoint, fit for JSON; None means that nothing was published.

    Args:
        model: What was published.
        checkpoint: How it is computed.
    """
    return {
        "name": model.model,
        "family": model.base.family,
        "kind": "late-interaction" if checkpoint.is_multi_vector else "dense",
        "dimension": model.dimension,
        "matryoshka": model.is_matryoshka,
        "shortest_dimension": model.shortest_dimension,
        "parameters": model.parameters,
        "bytes": {"bfloat16": model.bfloat16_bytes, "int8": model.int8_bytes},
        "max_visual_tokens": model.max_visual_tokens,
        "token_side_px": model.base.token_side_px,
        "context_tokens": model.context_tokens,
        "languages": model.languages,
        "licence": model.licence,
        "base": model.base.name,
        "base_licence": model.base.licence,
        "adapter_over": model.adapter_over,
        "scores": [asdict(score) for score in model.scores],
        "page_prompt": checkpoint.page_prompt,
        "query_prompt": checkpoint.query_prompt,
        "query_image_side_px": checkpoint.query_image_side_px
        if checkpoint.has_query_image
        else None,
        "pooling": checkpoint.pooling,
        "min_visual_tokens": checkpoint.min_visual_tokens,
        "prompts_from": checkpoint.source,
        "notes": list(model.notes),
    }


def show_models(models: Iterable[PublishedModel], refused: Iterable[RefusedModels]) -> None:
    """A table on a terminal, with the refused models below; else a line a model, with tabs.

    Models of a family stand together.
    """
    families: dict[str, list[PublishedModel]] = {}
    for one in models:
        families.setdefault(one.base.family, []).append(one)
    if not sys.stdout.isatty():
        for one in chain.from_iterable(families.values()):
            sys.stdout.write("\t".join(_fields(one)) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold")
    for family, members in families.items():
        table.add_row(f"\n[bold]{family}[/bold]")
        for one in members:
            table.add_row(*_cells(one))
    console = Console()
    console.print(table)
    console.print(f"\n{_LEGEND}\n\nNot computed here:", highlight=False)
    for one in refused:
        console.print(f"- {one.models}: {one.why}", highlight=False, markup=False)


def show_model(model: PublishedModel, checkpoint: Checkpoint) -> None:
    """A line a fact, then scores and notes."""
    found = model_facts(model, checkpoint)
    published = (
        f"a whole checkpoint, trained from {model.base.name}"
        if model.adapter_over is None
        else f"an adapter over {model.adapter_over}, merged when it is loaded"
    )
    in_query = f", after a black square of {checkpoint.query_image_side_px} px"
    say_facts(
        {name: found[name] for name in ("name", "family", "kind")}
        | {
            "published_as": published,
            "vector": f"{_vector(model)} components"
            + (" a token" if model.token_dimension else " a page"),
            "parameters": model.parameters,
            "weights": f"{bytes_in_words(model.bfloat16_bytes)} as bfloat16, "
            f"{bytes_in_words(model.int8_bytes)} as int8",
            "page": _page(model),
            "context": f"{model.context_tokens:,} tokens",
            "languages": model.languages or _UNKNOWN,
            "licence": _licence(model) or _UNKNOWN,
            "page_prompt": repr(checkpoint.page_prompt),
            "query_prompt": repr(checkpoint.query_prompt),
            "pooling": checkpoint.pooling.replace("_", " ")
            + (in_query if checkpoint.has_query_image else ""),
            "prompts_from": checkpoint.source,
        }
    )
    scores = [
        f"{one.benchmark}: {one.value:.3f} {one.measure} ({one.source})" for one in model.scores
    ]
    for title, lines in (
        ("Scores that others measured", scores or [_UNKNOWN]),
        ("Notes", model.notes),
    ):
        if lines:
            sys.stdout.write(f"\n{title}\n")
            sys.stdout.writelines(f"- {line}\n" for line in lines)


def _fields(model: PublishedModel) -> tuple[str, ...]:
    """What a line of a pipe says; "-" where nothing was published."""
    best = next(iter(model.scores), None)
    return (
        model.model,
        model.base.family,
        _vector(model) + (" a token" if model.token_dimension else ""),
        str(model.parameters),
        bytes_in_words(model.bfloat16_bytes),
        bytes_in_words(model.int8_bytes),
        _page(model),
        str(model.context_tokens),
        model.languages or "-",
        _licence(model) or "-",
        "-" if best is None else f"{best.value:.3f} {best.measure} of {best.benchmark}",
        "-" if best is None else best.source,
    )


def _cells(model: PublishedModel) -> tuple[str, ...]:
    """What a row of a table says, in two lines."""
    best = next(iter(model.scores), None)
    facts = (
        f"{model.parameters / 1e9:.2f} B",
        ("" if model.licence else "licence ") + (_licence(model) or _UNKNOWN),
        model.languages or f"languages {_UNKNOWN}",
    )
    shorter = f"to {model.shortest_dimension}" if model.shortest_dimension else "or less"
    below = "a token" if model.token_dimension else shorter if model.is_matryoshka else ""
    return (
        f"{model.model}\n  {'; '.join(facts)}",
        f"{model.dimension:,}\n{below}",
        f"{bytes_in_words(model.bfloat16_bytes)}\n{bytes_in_words(model.int8_bytes)}",
        f"{_tokens(model)}\nof {model.base.token_side_px} px",
        f"{model.context_tokens:,}",
        "-" if best is None else f"{best.value:.3f}\n{best.benchmark.removeprefix('ViDoRe ')}",
    )


def _vector(model: PublishedModel) -> str:
    shorter = f" to {model.shortest_dimension}" if model.shortest_dimension else " or less"
    return f"{model.dimension:,}{shorter if model.is_matryoshka else ''}"


def _page(model: PublishedModel) -> str:
    return f"{_tokens(model)} of {model.base.token_side_px} px"


def _tokens(model: PublishedModel) -> str:
    return "?" if model.max_visual_tokens is None else f"{model.max_visual_tokens:,}"


def _licence(model: PublishedModel) -> str | None:
    own, base = model.licence, model.base.licence
    if base in {None, own}:
        return own
    return f"{own or _UNKNOWN}, of its base {base}"
