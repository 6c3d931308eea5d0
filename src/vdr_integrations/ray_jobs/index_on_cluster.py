"""The driver: finds documents, deals them to shards, and lets the cluster index these."""

from __future__ import annotations

import pickle
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import OptionError, ResourceError
from vdr_integrations.index.server.qdrant_server import QdrantServer
from vdr_integrations.index.shards.shard_folders import planned_shard_set
from vdr_integrations.pages.find_files import given_paths
from vdr_integrations.pages.process_limits import process_limits
from vdr_integrations.pages.remote_documents import remote_folder
from vdr_integrations.ray_jobs.cluster import connected, most_of_one_machine, quiet_data, total_of
from vdr_integrations.ray_jobs.encoder_pool import ActorNeeds, check_room, started_pool
from vdr_integrations.ray_jobs.joined_report import joined_report
from vdr_integrations.ray_jobs.pool_encoders import PoolEncoders
from vdr_integrations.ray_jobs.shard_indexes import ShardIndexes, WantedIndex
from vdr_integrations.ray_jobs.shard_tasks import dealt
from vdr_integrations.ray_jobs.shard_tries import ShardTries
from vdr_integrations.ray_jobs.shard_work import ShardOutcome, ShardPlan, ShardWorker

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from vdr_integrations.encoders.encoder_on_demand import EncoderOptions
    from vdr_integrations.index import Compression, SyncReport
    from vdr_integrations.ray_jobs.shard_work import ShardTask
    from vdr_integrations.retrieval.bank_choice import QuestionBankChoice

__all__ = ["index_with_ray"]

_MOST_DRAWING = 8
"""Cores that draw for one GPU, as ``sync_index`` uses."""
_LOCK_WAIT_S = 60.0


def index_with_ray(
    index: str | Path | QdrantServer,
    paths: str | Path | Iterable[str | Path],
    *,
    encoder: EncoderOptions | None = None,
    late_interaction: bool = False,
    compression: Compression | None = None,
    question_bank: QuestionBankChoice = "model",
    recall: EncoderOptions | None = None,
    address: str | None = "auto",
    shards: int | None = None,
    encoders: int | None = None,
    cpus_per_encoder: float = 1.0,
    gpus_per_encoder: float | None = None,
    password: str | None = None,
    render_workers: int | None = None,
    page_timeout_s: float | None = None,
    page_memory_mb: int | None = None,
    drop_missing: bool = False,
    wait_s: float = _LOCK_WAIT_S,
) -> SyncReport:
    """Do ``sync_index`` with the machines of a Ray cluster.

    Documents are dealt to shards by their names. A shard is an index folder of its own, or a part
    of the work on one collection of a server. Actors on CPUs open and draw the documents of a shard
    each, and write them; encoding actors, which hold the model, take pages from all of them.

    Each document is committed once, completely. An actor that is killed is started again by Ray,
    and goes on where it was, as the next run does if this process is killed: with the pages that
    were kept. What a killed actor was encoding is encoded again.

    All machines must see the documents, and the folder of the index, at the same paths, and must be
    able to load the model by its name. Nothing but vectors, pixels and names travels.

    Args:
        index: Folder for the shards, new or made by this function; or a collection of a server, for
            late interaction.
        paths: See ``sync_index``; and URLs that fsspec opens, such as ``"s3://bucket/reports"``:
            all PDFs and images below. Each is copied to the machine that draws it, while it does.
            A document is named by its URL. Keys and passwords stand in the environment of all
            machines, not in the URL.
        encoder: Model and options of the encoder; what is None is taken from the index, or is the
            default. ``device`` is that of each encoding actor.
        late_interaction: For a new index: keep one vector a token.
        compression: For a new index of late interaction: how vectors are stored.
        question_bank: For a new index of late interaction, see ``PageSearcher.create``.
        recall: Model and options of dense vectors that are kept beside token vectors.
        address: The cluster: ``"auto"`` is that of this machine, ``"local"`` starts one on this
            machine for this call; or the address of its head. Not used if Ray is connected already.
        shards: Number of shards, which a set keeps for ever; None: that of the set, or as many as
            there are encoding actors. On a server: how many write at the same time.
        encoders: Number of encoding actors; None: one for each GPU of the cluster, or one.
        cpus_per_encoder: Cores that each reserves.
        gpus_per_encoder: GPUs that each reserves; a part of one, if several share it. None: one,
            if the cluster has any.
        password: Password of encrypted PDFs.
        render_workers: Processes that draw for one shard, and cores that are reserved for them.
            None: one, or up to 8 if encoders have GPUs. 0 draws without limits, see ``sync_index``.
        page_timeout_s: See ``sync_index``.
        page_memory_mb: See ``sync_index``.
        drop_missing: See ``sync_index``.
        wait_s: How long a shard waits for another writer. An actor that was killed may take some
            seconds to end.

    Returns:
        What was done in all shards, since this call began. Pages that were encoded by an actor
        before it was killed are not in ``pages_encoded``. Encoders that were lost are in
        ``troubles``.

    Raises:
        MissingExtraError: Ray is not installed.
        OptionError: An option is out of range, the set has another number of shards, the cluster
            has too few CPUs or GPUs, or there is no cluster.
        IndexMismatchError: Another model, or other settings, made the index.
        IndexLockedError: Another process is writing to a shard.
        CheckpointError: A machine cannot load the model, or has other files under its name.
        EncodingError: All encoding actors were lost, and none came back.
        ResourceError: The cluster did not start the encoders in 30 minutes, or an actor that draws
            ended again and again.
    """
    given = given_paths(paths)
    for path in given:
        remote_folder(path)  # what is refused, is so before a model is loaded
    if isinstance(index, QdrantServer) and index.client is not None:
        raise OptionError(f"{index}: a client cannot be sent to other machines; give a url.")
    process_limits(
        render_workers=render_workers, page_timeout_s=page_timeout_s, page_memory_mb=page_memory_mb
    )
    wanted = WantedIndex(encoder, late_interaction, compression, question_bank, recall)
    with connected(address) as ray, ExitStack() as stack:
        chosen = _chosen(ray, encoders, cpus_per_encoder, gpus_per_encoder)
        folders, places = None, [index]
        if not isinstance(index, QdrantServer):
            folders = planned_shard_set(Path(index), count=shards, default=chosen.encoders)
            places = folders.folders
        count = (shards or chosen.encoders) if folders is None else folders.count
        workers = _workers(ray, chosen, count) if render_workers is None else render_workers
        check_room(
            ray,
            encoders=chosen.encoders,
            needs=chosen.needs,
            drawing_cpus=max(workers, 1),
        )
        with closing(ShardIndexes(places, wanted, wait_s=wait_s)) as shard_indexes:
            options = shard_indexes.encoder_options()
            found = dealt(given, shard_indexes.known(), count=count, drop_missing=drop_missing)
            if not found.tasks:
                return found.report
            pool = stack.enter_context(
                started_pool(options, count=chosen.encoders, needs=chosen.needs)
            )
            made_of = PoolEncoders(pool, options)
            shard_indexes.check_or_make(made_of, folders)
        tries = ray.remote(ShardTries).options(num_cpus=0, max_restarts=-1).remote()
        stack.callback(ray.kill, tries)
        plan = ShardPlan(
            encoders=made_of,
            root=None if folders is None else folders.root,
            set_id="" if folders is None else folders.set_id,
            server=index if isinstance(index, QdrantServer) else None,
            options={
                "password": password,
                "render_workers": workers,
                "page_timeout_s": page_timeout_s,
                "page_memory_mb": page_memory_mb,
            },
            wait_s=wait_s,
            tries=tries,
        )
        outcomes = _run(ray, plan, found.tasks, cpus=max(workers, 1), free=_free(ray, chosen))
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    return joined_report([found.report, *reports])


@contextmanager
def _told_why(ray: Any) -> Generator[None]:  # noqa: ANN401  # the module
    """Say what to do if Ray gives up."""
    try:
        yield
    except (ray.exceptions.RaySystemError, ray.exceptions.ActorDiedError) as error:
        said = [line for line in str(error).splitlines() if line.strip()]
        raise ResourceError(
            f"the actors that draw cannot be started, or ended "
            f"({said[0] if said else type(error).__name__}). Look at the memory of the machines; "
            f"what was committed is in the index, and the next run goes on."
        ) from error


@dataclass(frozen=True, slots=True)
class _Chosen:
    encoders: int
    needs: ActorNeeds


def _chosen(ray: Any, encoders: int | None, cpus: float, gpus: float | None) -> _Chosen:  # noqa: ANN401  # the module
    there = total_of(ray, "GPU")
    gpus = float(there > 0) if gpus is None else gpus
    if encoders is None:
        encoders = max(int(there / gpus), 1) if gpus else 1
    for name, value in (("encoders", encoders), ("cpus_per_encoder", cpus)):
        if value <= 0:
            raise OptionError(f"{name}={value}; it must be more than 0.")
    if gpus < 0:
        raise OptionError(f"gpus_per_encoder={gpus}; it must not be negative.")
    return _Chosen(encoders, ActorNeeds(cpus=cpus, gpus=gpus))


def _free(ray: Any, chosen: _Chosen) -> int:  # noqa: ANN401  # the module
    """Cores of the cluster that encoders do not reserve."""
    return max(int(total_of(ray, "CPU") - chosen.encoders * chosen.needs.cpus), 1)


def _workers(ray: Any, chosen: _Chosen, shards: int) -> int:  # noqa: ANN401  # the module
    if not chosen.needs.gpus:
        return 1
    of_one = int(most_of_one_machine(ray, "CPU") - chosen.needs.cpus)
    return max(min(_MOST_DRAWING, _free(ray, chosen) // shards, of_one), 1)


def _run(
    ray: Any,  # noqa: ANN401  # the module
    plan: ShardPlan,
    tasks: Sequence[ShardTask],
    *,
    cpus: int,
    free: int,
) -> list[ShardOutcome]:
    """Let Ray Data deal the shards to actors; in the order of the shards."""
    if not tasks:
        return []
    rows = [{"task": pickle.dumps(task)} for task in tasks]
    actors = max(min(len(tasks), free // cpus), 1)
    with quiet_data(ray), _told_why(ray):
        outcomes = (
            ray.data.from_items(rows, override_num_blocks=len(rows))
            .map_batches(
                ShardWorker,
                fn_constructor_args=(plan,),
                batch_size=1,
                batch_format="numpy",
                compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=1),
                num_cpus=cpus,
            )
            .take_all()
        )
    found: list[ShardOutcome] = [pickle.loads(row["outcome"]) for row in outcomes]  # noqa: S301  # of our own actors
    return sorted(found, key=lambda outcome: outcome.number)
