"""An actor that holds the model, or two of them, and encodes for all others."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.elsewhere.model_host import ModelHost, outcome
from vdr_integrations.errors import CheckpointError, VdrError
from vdr_integrations.ray_jobs.cluster import node_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.encoder_on_demand import EncoderOptions
    from vdr_integrations.encoders.preprocessing.prepared import Prepared
    from vdr_integrations.encoders.runtime.running_model import ModelFacts

__all__ = ["EncodingActor", "HostedModel", "Introduction", "asked_until_it_is_back", "other_files"]

_CRASHED = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedModel:
    """A model that an actor holds.

    Attributes:
        facts: What is known of it, without its device.
        checkpoint: Prompts and pooling.
        revision: Commit of the hub repository; None for a local folder.
    """

    facts: ModelFacts
    checkpoint: Checkpoint
    revision: str | None


@dataclass(frozen=True, slots=True)
class Introduction:
    """What an actor says of itself.

    Attributes:
        node: Its machine, for messages.
        models: Its models.
        device: The device that holds them.
        is_gpu: Whether they work without the cores of the machine.
    """

    node: str
    models: tuple[HostedModel, ...]
    device: str
    is_gpu: bool


class EncodingActor:
    """Loads models by their names from the files of its own machine, and runs them."""

    def __init__(self, options: Sequence[EncoderOptions]) -> None:
        """Load nothing yet.

        Args:
            options: A model each.
        """
        self._options = options
        self._loading = threading.Lock()
        self._loaded: tuple[list[ModelHost], Introduction] | None = None

    def introduce(self) -> Introduction | VdrError:
        """Load the models, and say what they are; or why they cannot be loaded."""
        try:
            return self._ready()[1]
        except VdrError as error:
            return error

    def encode(
        self, number: int, expected: HostedModel, items: Sequence[Prepared], budget: int
    ) -> list[Any] | VdrError:
        """Run pages or queries.

        Args:
            number: Number of the model.
            expected: What it must be. After a restart, this may be another machine than before.
            items: Plain pages, plain queries, or queries whose tokens are asked for.
            budget: Greatest cost of a batch.

        Returns:
            For each item its vectors, its tokens, or a VdrError; or an error of all.
        """
        try:
            hosts, own = self._ready()
        except VdrError as error:
            return error
        if own.models[number] != expected:
            return other_files(expected, own)
        begun = [hosts[number].begun(item, budget=budget) for item in items]
        try:
            return [outcome(one) for one in begun]
        except Exception:  # noqa: BLE001  # the device does not work any more
            os._exit(_CRASHED)  # Ray starts another process, which has the device again

    def _ready(self) -> tuple[list[ModelHost], Introduction]:
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> tuple[list[ModelHost], Introduction]:
        from vdr_integrations.encoders.encoder_on_demand import load_arguments
        from vdr_integrations.encoders.load import load_encoder

        encoders = [load_encoder(**load_arguments(one)) for one in self._options]
        models = tuple(
            HostedModel(
                facts=replace(one.core.facts, device=""),
                checkpoint=one.checkpoint,
                revision=one.revision,
            )
            for one in encoders
        )
        own = Introduction(
            node_name(),
            models,
            encoders[0].core.facts.device,
            all(one.core.leaves_cores for one in encoders),
        )
        return [ModelHost(one) for one in encoders], own


def asked_until_it_is_back(actor: Any) -> Any:  # noqa: ANN401  # handles of Ray
    """The introduction of an actor that Ray may be starting again: a reference to wait for.

    Meanwhile Ray answers calls with ActorUnavailableError, and asks again by itself only if it is
    told so. Once the actor will never be back, the answer is ActorDiedError.
    """
    return actor.introduce.options(max_task_retries=-1).remote()


def other_files(expected: HostedModel, found: Introduction) -> CheckpointError:
    """The error of a machine whose model is not that of the others."""
    model = expected.checkpoint.model
    own = next((one for one in found.models if one.checkpoint.model == model), found.models[0])
    if own.facts.contents_digest != expected.facts.contents_digest:
        return CheckpointError(
            f"{model} on {found.node} has other files (digest {own.facts.contents_digest[:12]}) "
            f"than on the first machine ({expected.facts.contents_digest[:12]}): vectors could not "
            f"be compared. Give a revision, or copy the same files to all machines."
        )
    return CheckpointError(
        f"{model} on {found.node} is computed in another way than on the first machine: "
        f"{own.facts.dtype} there, {expected.facts.dtype} here, with {own.facts.pages_budget} and "
        f"{expected.facts.pages_budget} visual tokens a pass. Name a dtype, and use machines with "
        f"the same kind of device."
    )
