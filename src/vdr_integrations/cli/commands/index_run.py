"""What ``vdr index`` does after its options are read: here, or with the machines of a cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.cli.options.indexes import documents_before, searcher_to_write
from vdr_integrations.cli.terminal.progress_bars import indexing_progress, notice
from vdr_integrations.errors import OptionError
from vdr_integrations.index import sync_index
from vdr_integrations.index.shards.shard_folders import is_shard_set, set_of_shard
from vdr_integrations.index.sync.unusable_files import unusable_files
from vdr_integrations.pages.process_limits import process_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.cli.options.indexes import Kind
    from vdr_integrations.encoders import EncoderOptions
    from vdr_integrations.index import SyncReport

__all__ = ["IndexRun"]


@dataclass(frozen=True, slots=True)
class IndexRun:
    """The options of the command.

    Attributes:
        path: Folder of the index, or of the set of shards.
        paths: Documents.
        settings: Options of the encoder.
        kind: The kind of a new index.
        password: See ``sync_index``, as for the others.
        workers: ``render_workers``.
        page_timeout_s: See there.
        page_memory_mb: See there.
        drop_missing: See there.
        wait_s: How long to wait for another writer.
    """

    path: Path
    paths: Sequence[str]
    settings: EncoderOptions
    kind: Kind
    password: str | None
    workers: int | None
    page_timeout_s: float | None
    page_memory_mb: int | None
    drop_missing: bool
    wait_s: float

    def on_this_machine(self) -> SyncReport:
        """Index with one process.

        Raises:
            OptionError: The folder is a set of shards or one of them, or a path is a URL.
        """
        if is_shard_set(self.path):
            raise OptionError(
                f"{self.path} is a set of shards, which several machines fill; add --ray (--ray "
                f"local uses this machine), or index into another folder."
            )
        root = set_of_shard(self.path)
        if root is not None:
            raise OptionError(
                f"{self.path} is a shard of the set {root}, and each document belongs to one of "
                f"them; add --ray and name the set, or index into another folder."
            )
        urls = [path for path in self.paths if "://" in path]
        if urls:
            raise OptionError(
                f"{urls[0].partition('://')[0]}://...: documents at URLs are indexed with --ray "
                f"(--ray local uses this machine); without it, name files and folders."
            )
        # First all that is looked at without a model, which may be a download of 4 GB.
        limits = process_limits(
            render_workers=self.workers,
            page_timeout_s=self.page_timeout_s,
            page_memory_mb=self.page_memory_mb,
        )
        known = documents_before(self.path, self.settings, self.kind, wait_s=self.wait_s)
        paths = [Path(path) for path in self.paths]
        unusable = unusable_files(paths, known, password=self.password, limits=limits)
        if unusable is not None:
            return unusable
        notice("Loading the model ...")
        with searcher_to_write(self.path, self.settings, self.kind, wait_s=self.wait_s) as searcher:
            index, encoder = searcher.index, searcher.page_encoder
            with indexing_progress() as on_progress:
                report = sync_index(
                    index,
                    encoder,
                    paths,
                    password=self.password,
                    render_workers=self.workers,
                    page_timeout_s=self.page_timeout_s,
                    page_memory_mb=self.page_memory_mb,
                    drop_missing=self.drop_missing,
                    on_progress=on_progress,
                )
            if report.changed or report.removed:
                index.optimize()
        return report

    def on_cluster(self, address: str, *, shards: int | None, encoders: int | None) -> SyncReport:
        """Index with the machines of a Ray cluster; see ``index_with_ray``.

        Args:
            address: The cluster.
            shards: Number of folders of a new set.
            encoders: Number of actors that hold the model.
        """
        from vdr_integrations.ray_jobs import index_with_ray

        own, recall = self.settings, None
        if self.kind.recall is not None:
            recall = replace(own, model=self.kind.recall, revision=None)
            own = replace(own, dimension=None)
        notice(f"Indexing with Ray at {address} ...")
        return index_with_ray(
            self.path,
            self.paths,
            encoder=own,
            late_interaction=self.kind.late_interaction,
            compression=self.kind.compression,
            question_bank=self.kind.question_bank,
            recall=recall,
            address=address,
            shards=shards,
            encoders=encoders,
            password=self.password,
            render_workers=self.workers,
            page_timeout_s=self.page_timeout_s,
            page_memory_mb=self.page_memory_mb,
            drop_missing=self.drop_missing,
            **({"wait_s": self.wait_s} if self.wait_s else {}),
        )
