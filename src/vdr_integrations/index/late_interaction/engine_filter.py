"""Conditions in the words of an engine's own library; both libraries name them alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vdr_integrations.index.late_interaction.filters import Condition, Where

__all__ = ["engine_filter"]


def engine_filter(
    where: Where,
    *,
    models: Any,  # noqa: ANN401  # a module: qdrant_edge or qdrant_client.models
    match_any: Callable[[Sequence[str]], object],
    number_range: Callable[..., object],
) -> Any:  # noqa: ANN401  # the library's type
    """The library's filter, None where everything fits.

    Args:
        where: What must hold.
        models: Has ``Filter`` and ``FieldCondition``.
        match_any: Makes the library's "one of these strings".
        number_range: Makes the library's range of gt, gte, lt and lte.
    """

    def leaves(condition: Condition) -> list[Any]:
        found = [{"range": number_range(**dict(bounds))} for bounds in condition.ranges]
        if condition.texts:
            found.insert(0, {"match": match_any(list(condition.texts))})
        return [models.FieldCondition(key=condition.key, **kind) for kind in found]

    if not where.groups:
        return None
    return models.Filter(
        must=[
            models.Filter(should=[leaf for condition in group for leaf in leaves(condition)])
            for group in where.groups
        ]
    )
