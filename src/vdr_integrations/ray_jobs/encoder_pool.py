"""The encoding actors of a run: started together, and checked to hold the same models."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import (
    CheckpointError,
    MissingExtraError,
    OptionError,
    PageError,
    ResourceError,
    VdrError,
)
from vdr_integrations.ray_jobs.cluster import most_of_one_machine, ray_module, total_of
from vdr_integrations.ray_jobs.encoding_actor import EncodingActor, Introduction, other_files

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from vdr_integrations.encoders.encoder_on_demand import EncoderOptions
    from vdr_integrations.ray_jobs.encoding_actor import HostedModel

__all__ = ["ActorNeeds", "EncodingPool", "check_room", "started_pool"]

_START_S = 1800.0
"""A 7B model is 15 GB; an autoscaler starts machines within minutes."""
_RESTARTS = 8
_AT_ONCE = 32
"""Windows that wait in an actor: the model's batches are made of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorNeeds:
    """What an encoding actor takes of the cluster.

    Attributes:
        cpus: Cores.
        gpus: GPUs; a part of one, if several actors share it.
    """

    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True)
class EncodingPool:
    """Actors with the same models. It can be pickled for other actors.

    Attributes:
        actors: Handles of Ray.
        names: Their names in messages.
        models: What each holds.
        is_gpu: Whether they leave the cores of their machines to others.
    """

    actors: tuple[Any, ...]
    names: tuple[str, ...]
    models: tuple[HostedModel, ...]
    is_gpu: bool


@contextmanager
def started_pool(
    options: Sequence[EncoderOptions], *, count: int, needs: ActorNeeds
) -> Generator[EncodingPool]:
    """Actors that have loaded the models; they end with the block.

    They also end with the process that has started them.

    Args:
        options: A model each.
        count: Number of actors.
        needs: What each takes.

    Raises:
        OptionError: The cluster has not that much.
        CheckpointError: A model cannot be loaded on a machine, or is another one there.
        ResourceError: The cluster did not start them in 30 minutes.
    """
    ray = ray_module()
    kind = ray.remote(EncodingActor).options(
        num_cpus=needs.cpus,
        num_gpus=needs.gpus,
        max_restarts=_RESTARTS,
        max_concurrency=_AT_ONCE,
        scheduling_strategy="SPREAD",
    )
    actors = [kind.remote(list(options)) for _ in range(count)]
    try:
        yield _ready(ray, actors, needs)
    finally:
        for actor in actors:
            ray.kill(actor)


def _ready(ray: Any, actors: list[Any], needs: ActorNeeds) -> EncodingPool:  # noqa: ANN401  # the module
    """Wait until all have loaded the same models."""
    count = len(actors)
    calls = [actor.introduce.remote() for actor in actors]
    ready, waiting = ray.wait(calls, num_returns=count, timeout=_START_S)
    if waiting:
        raise ResourceError(
            f"{len(ready)} of {count} encoding actors were ready after {_START_S / 60:.0f} "
            f"minutes, with {needs.cpus:g} CPUs and {needs.gpus:g} GPUs each; others may use "
            f"the cluster (ray status). Ask for fewer, or try again later."
        )
    found = [_introduced(ray, call) for call in calls]
    first = found[0]
    for one in found[1:]:
        for mine, theirs in zip(first.models, one.models, strict=True):
            if mine != theirs:
                raise other_files(mine, one)
    names = tuple(f"encoder {number} on {one.node}" for number, one in enumerate(found, start=1))
    return EncodingPool(tuple(actors), names, first.models, all(one.is_gpu for one in found))


def check_room(ray: Any, *, encoders: int, needs: ActorNeeds, drawing_cpus: float) -> None:  # noqa: ANN401  # the module
    """Refuse what the whole cluster could never run: it would wait for ever.

    Args:
        ray: Ray.
        encoders: Number of encoding actors.
        needs: What each takes.
        drawing_cpus: Cores of one actor that draws.

    Raises:
        OptionError: There is not that much.
    """
    for name, wanted in (("CPU", max(needs.cpus, drawing_cpus)), ("GPU", needs.gpus)):
        there = most_of_one_machine(ray, name)
        if wanted > there:
            raise OptionError(
                f"an actor needs {wanted:g} {name}s, and no machine of the Ray cluster has more "
                f"than {there:g}. Ask for less: --workers (render_workers), cpus_per_encoder or "
                f"gpus_per_encoder."
            )
    cpus = encoders * needs.cpus + drawing_cpus
    for name, wanted in (("CPU", cpus), ("GPU", encoders * needs.gpus)):
        there = total_of(ray, name)
        if wanted > there:
            raise OptionError(
                f"the Ray cluster has {there:g} {name}s, and {wanted:g} are needed: {encoders} "
                f"encoders with {needs.cpus:g} CPUs and {needs.gpus:g} GPUs each, and "
                f"{drawing_cpus:g} CPUs to draw pages. Ask for fewer encoders or for less, or add "
                f"machines. Ray on one machine can be told that it has more than its cores: "
                f"ray start --head --num-cpus, or ray.init(num_cpus=...) before this call."
            )


def _introduced(ray: Any, call: Any) -> Introduction:  # noqa: ANN401  # the module, and its handle
    try:
        found: Introduction | VdrError = ray.get(call)
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()
        raise CheckpointError(
            f"an encoding actor ended while it loaded the model ({said[-1] if said else ''}). Look "
            f"at the memory of its machine, and of its GPU."
        ) from error
    if isinstance(found, PageError | MissingExtraError):
        raise found
    if isinstance(found, VdrError):
        raise type(found)(f"an encoding actor: {found}") from found
    return found
