"""The indexes of all shards: what the caller wants of them, and whether they are like that."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vdr_integrations.defaults import DEFAULT_DENSE_MODEL, DEFAULT_LATE_MODEL
from vdr_integrations.encoders.encoder_on_demand import EncoderOptions
from vdr_integrations.errors import IndexMismatchError, IndexNotFoundError, OptionError
from vdr_integrations.index import Manifest, open_index
from vdr_integrations.index.new_index import new_index
from vdr_integrations.index.server.qdrant_server import QdrantServer
from vdr_integrations.index.sync.page_encoding import PageEncoding
from vdr_integrations.retrieval.bank_choice import chosen_bank
from vdr_integrations.retrieval.encoder_choice import (
    checked_dense,
    checked_multi_vector,
    options_over,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.index import Compression
    from vdr_integrations.index.page_index import Location, PageIndex
    from vdr_integrations.index.question_bank import QuestionBank
    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.index.shards.shard_folders import ShardFolders
    from vdr_integrations.ray_jobs.pool_encoders import PoolEncoders
    from vdr_integrations.retrieval.bank_choice import QuestionBankChoice

__all__ = ["ShardIndexes", "WantedIndex"]


@dataclass(frozen=True, slots=True)
class WantedIndex:
    """What the caller wants; see ``index_with_ray``."""

    encoder: EncoderOptions | None
    late_interaction: bool
    compression: Compression | None
    question_bank: QuestionBankChoice
    recall: EncoderOptions | None

    @property
    def has_bank(self) -> bool:
        """Whether the caller chose a bank, or none."""
        return not (isinstance(self.question_bank, str) and self.question_bank == "model")

    def check_new(self, place: Location) -> None:
        """Refuse what a new index cannot be.

        Raises:
            OptionError: Options for token vectors, or a server, without late interaction.
        """
        if self.late_interaction:
            return
        found = self._for_token_vectors()
        if found:
            raise OptionError(f"{', '.join(found)}: for token vectors; add late_interaction.")
        if isinstance(place, QdrantServer):
            raise OptionError(
                f"{place}: an index of one vector a page is kept in folders; add late_interaction, "
                f"or name a folder."
            )

    def check_kept(self, index: PageIndex) -> None:
        """Refuse an index that is of another kind.

        Raises:
            OptionError: The options are those of another kind of index.
        """
        if index.late is None:
            found = ["late_interaction"] * self.late_interaction + self._for_token_vectors()
            if found:
                raise OptionError(
                    f"index {index.path} keeps one vector a page; leave {', '.join(found)} out, or "
                    f"index into another folder."
                )
        elif self.compression not in {None, index.compression}:
            raise OptionError(
                f"index {index.path} was made with {index.compression}; leave compression out, or "
                f"index into another folder."
            )

    def _for_token_vectors(self) -> list[str]:
        given = {
            "compression": self.compression is not None,
            "recall": self.recall is not None,
            "question_bank": self.has_bank,
        }
        return [name for name, is_given in given.items() if is_given]


class ShardIndexes:
    """The indexes of all shards, open in the driver until the work begins."""

    def __init__(self, places: Sequence[Location], wanted: WantedIndex, *, wait_s: float) -> None:
        """Open those that are there.

        Raises:
            IndexStoreError: One cannot be opened.
        """
        self._places = places
        self._wanted = wanted
        self._wait_s = wait_s
        self._stack = ExitStack()
        self._indexes: list[PageIndex | None] = []
        try:
            self._indexes += [self._opened(place) for place in places]
        except BaseException:
            self._stack.close()
            raise
        self._first = next((one for one in self._indexes if one is not None), None)

    def encoder_options(self) -> tuple[EncoderOptions, ...]:
        """Options of the encoder, and of that of dense vectors beside token vectors.

        Raises:
            OptionError: The options do not fit each other, or the indexes that are there.
            IndexMismatchError: The same.
        """
        wanted, first = self._wanted, self._first
        if first is None:
            wanted.check_new(self._places[0])
        else:
            wanted.check_kept(first)
        is_late = wanted.late_interaction if first is None else first.late is not None
        default = DEFAULT_LATE_MODEL if is_late else DEFAULT_DENSE_MODEL
        manifest = None if first is None else first.manifest
        own = options_over(wanted.encoder or EncoderOptions(), manifest, default_model=default)
        beside = None if first is None or not is_late else first.dense_manifest
        recall = wanted.recall
        if recall is None:
            if beside is None:
                return (own,)
            # The index says which model; device and number format are those of the other one.
            recall = replace(own, model=None, revision=None, dimension=None, checkpoint=None)
        budget = recall.max_visual_tokens or own.max_visual_tokens
        recall = replace(recall, max_visual_tokens=budget)
        return own, options_over(recall, beside, default_model=DEFAULT_DENSE_MODEL)

    def check_or_make(self, made_of: PoolEncoders, folders: ShardFolders | None) -> None:
        """Make the indexes that are not there, and refuse those that were made in another way.

        Args:
            made_of: The encoders.
            folders: The set, which is made first; None for a server.

        Raises:
            IndexMismatchError: Another encoder, compression or question bank.
            OptionError: The model gives the other kind of vectors.
        """
        self._check_kind(made_of)
        encoding, new = PageEncoding(made_of.encoder()), self._new_index(made_of)
        if folders is not None:
            folders.make()  # not before: what is refused, leaves nothing
        for number, place in enumerate(self._places):
            index = self._indexes[number]
            if index is None:
                index = self._stack.enter_context(new.make(place, wait_s=self._wait_s))
                self._indexes[number] = index
            encoding.check(index)
            if (
                self._wanted.has_bank
                and index.late is not None
                and index.late.correction != (None if new.bank is None else new.bank.correction)
            ):
                raise OptionError(
                    f"index {index.path} was made with another question bank, or without one; "
                    f"leave question_bank out, or index into another folder."
                )
            if self._first is not None and index.compression != self._first.compression:
                raise IndexMismatchError(
                    f"index {index.path} keeps {index.compression}, and {self._first.path} "
                    f"{self._first.compression}: they are not one set. Index into another folder."
                )

    def _check_kind(self, made_of: PoolEncoders) -> None:
        """Refuse models that give the other kind of vectors, in words of the caller's options."""
        first = self._first
        is_late = self._wanted.late_interaction if first is None else first.late is not None
        model, *beside = (one.checkpoint for one in made_of.pool.models)
        if is_late and not model.is_multi_vector:
            raise OptionError(
                f"{model.model} gives one vector a page, and late interaction needs one a token: "
                f"leave late_interaction (--late-interaction) out, or choose a model such as "
                f"{DEFAULT_LATE_MODEL}."
            )
        if not is_late and model.is_multi_vector:
            todo = (
                "add late_interaction (--late-interaction)"
                if first is None
                else f"{first.path} keeps one a page: index into another folder"
            )
            raise OptionError(
                f"{model.model} gives one vector a token (late interaction), not one a page; "
                f"{todo}, or choose a model such as {DEFAULT_DENSE_MODEL}."
            )
        for one in beside:
            if one.is_multi_vector:
                raise OptionError(
                    f"recall: {one.model} gives one vector a token, and recall needs one a page; "
                    f"choose a model such as {DEFAULT_DENSE_MODEL}."
                )

    def _new_index(self, made_of: PoolEncoders) -> _NewIndex:
        first, wanted = self._first, self._wanted
        is_late = wanted.late_interaction if first is None else first.late is not None
        own, *others = made_of.options
        if not is_late:
            encoder = checked_dense(made_of.single(0))
            return _NewIndex(dense=Manifest.of(encoder, model=own.model, revision=own.revision))
        late = checked_multi_vector(made_of.single(0))
        dense = None
        for number, other in enumerate(others, start=1):
            beside = checked_dense(made_of.single(number))
            dense = Manifest.of(beside, model=other.model, revision=other.revision)
        if first is not None and first.late is not None and not wanted.has_bank:
            bank = first.late.question_bank()
        else:
            bank = chosen_bank(wanted.question_bank, late)
        return _NewIndex(
            tokens=Manifest.of(late, model=own.model, revision=own.revision),
            dense=dense,
            checkpoint=late.checkpoint,
            compression=wanted.compression if first is None else first.compression,
            bank=bank,
        )

    def known(self) -> list[list[DocumentRecord]]:
        """The documents of each index."""
        return [[] if one is None else one.documents(skip_altered=True) for one in self._indexes]

    def close(self) -> None:
        """Close them."""
        self._stack.close()

    def _opened(self, place: Location) -> PageIndex | None:
        try:
            return self._stack.enter_context(open_index(place, wait_s=self._wait_s))
        except IndexNotFoundError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewIndex:
    """How an index is made; see ``new_index``."""

    tokens: Manifest | None = None
    dense: Manifest | None = None
    checkpoint: Checkpoint | None = None
    compression: Compression | None = None
    bank: QuestionBank | None = None

    def make(self, place: Location, *, wait_s: float) -> PageIndex:
        return new_index(
            place,
            tokens=self.tokens,
            dense=self.dense,
            checkpoint=self.checkpoint,
            compression=self.compression,
            question_bank=self.bank,
            wait_s=wait_s,
        )
