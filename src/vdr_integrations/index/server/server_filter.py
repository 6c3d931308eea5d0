"""Convert conditions to filters of qdrant-client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vdr_integrations.index.page_filter import Where
from vdr_integrations.index.server.calls import client_models

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.index.page_filter import Condition

__all__ = ["DOCUMENTS", "PAGES", "server_filter"]

PAGES = Where.equal(kind="page")
DOCUMENTS = Where.equal(kind="document")


def server_filter(
    where: Where, *, unless: Where | None = None, ids: Sequence[str] | None = None
) -> Any:  # noqa: ANN401  # the client's type
    """The client's filter for these conditions.

    Args:
        where: Conditions that must match.
        unless: Conditions of which none may match.
        ids: Ids of the points that may match; None allows all.
    """
    models = client_models()
    must = [
        models.Filter(should=[leaf for condition in group for leaf in _leaves(condition)])
        for group in where.groups
    ]
    if ids is not None:
        must.append(models.HasIdCondition(has_id=list(ids)))
    without = [
        leaf
        for group in (unless.groups if unless is not None else ())
        for condition in group
        for leaf in _leaves(condition)
    ]
    return models.Filter(must=must or None, must_not=without or None)


def _leaves(condition: Condition) -> list[Any]:
    models = client_models()
    found: list[dict[str, Any]] = [
        {"range": models.Range(**dict(bounds))} for bounds in condition.ranges
    ]
    if condition.texts:
        found.insert(0, {"match": models.MatchAny(any=list(condition.texts))})
    return [models.FieldCondition(key=condition.key, **kind) for kind in found]
