"""Which models are in memory."""

from __future__ import annotations

import gc

from vdr_integrations.encoders.forward.model_tree import ModelTree

__all__ = ["models_in_memory", "new_models"]


def models_in_memory() -> list[ModelTree]:
    """All of them; held by the list, so that none can take another's place."""
    gc.collect()
    return [thing for thing in gc.get_objects() if type(thing) is ModelTree]


def new_models(known: list[ModelTree]) -> int:
    """How many there are beside those that were known."""
    before = {id(model) for model in known}
    return sum(id(model) not in before for model in models_in_memory())
