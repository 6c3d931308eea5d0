"""``vdr models``: which checkpoints are known, and what was published about them."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Annotated

import typer

from vdr_integrations.cli.options.common_options import DebugOption, JsonOption  # noqa: TC001  # typer reads them
from vdr_integrations.cli.terminal.exits import reported
from vdr_integrations.cli.terminal.json_output import say_json
from vdr_integrations.errors import UnknownCheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.encoders.checkpoints.published_facts import PublishedModel
    from vdr_integrations.encoders.checkpoints.refused_models import RefusedModels

__all__ = ["models_command"]


def models_command(
    name: Annotated[
        str | None,
        typer.Argument(help="Show everything about this one; its organisation may be left out."),
    ] = None,
    *,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List the models that are known by name, with sizes and published scores.

    Nothing is downloaded. Other models are loaded if you describe them: see docs/models.md.

    Exit codes: 0 done, 1 the name is not known, 2 wrong usage.
    """
    with reported(debug=debug):
        from dataclasses import asdict

        from vdr_integrations.cli.terminal.model_display import (
            model_facts,
            show_model,
            show_models,
        )
        from vdr_integrations.encoders.checkpoints.known_checkpoints import KNOWN_CHECKPOINTS
        from vdr_integrations.encoders.checkpoints.published_models import PUBLISHED_MODELS
        from vdr_integrations.encoders.checkpoints.refused_models import REFUSED_MODELS

        if name is not None:
            model = _found(name, PUBLISHED_MODELS, REFUSED_MODELS)
            checkpoint = KNOWN_CHECKPOINTS[model.model]
            if as_json:
                say_json(model_facts(model, checkpoint))
            else:
                show_model(model, checkpoint)
            return
        models = tuple(PUBLISHED_MODELS.values())
        if not as_json:
            show_models(models, REFUSED_MODELS)
            return
        say_json(
            {
                "models": [model_facts(one, KNOWN_CHECKPOINTS[one.model]) for one in models],
                "refused": [asdict(one) for one in REFUSED_MODELS],
            }
        )


def _found(
    name: str, models: dict[str, PublishedModel], refused: Sequence[RefusedModels]
) -> PublishedModel:
    whole = {full.lower(): model for full, model in models.items()}
    short = {full.rpartition("/")[2]: model for full, model in whole.items()}
    wanted = name.lower()
    if (model := whole.get(wanted) or short.get(wanted)) is not None:
        return model
    for one in refused:
        if wanted.rpartition("/")[2] in re.split(r"[/, ]+", one.models.lower()):
            raise UnknownCheckpointError(
                f"{name!r} is not loaded: this package does not compute {one.why}. Choose another "
                f"one: `vdr models` lists all that are known."
            )
    near = difflib.get_close_matches(wanted.rpartition("/")[2], short, n=3)
    also = f" Names like it: {', '.join(short[one].model for one in near)}." if near else ""
    raise UnknownCheckpointError(
        f"no model is known as {name!r}.{also} `vdr models` lists all that are known, and what is "
        f"not computed here; others are loaded with a description (docs/models.md)."
    )
