"""What a searcher works with: an index, the encoders that fit it, and questions encoded once."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from vdr_integrations.encoders.encoder_on_demand import EncoderOptions
from vdr_integrations.encoders.runtime.forks import PerProcess
from vdr_integrations.errors import IndexMismatchError, IndexStoreError, OptionError
from vdr_integrations.index.new_index import new_index
from vdr_integrations.index.question_bank import QuestionBank, check_strength
from vdr_integrations.index.server.qdrant_server import QdrantServer
from vdr_integrations.retrieval.bank_choice import ScoreScale, chosen_bank
from vdr_integrations.retrieval.encoder_choice import DenseChoice, MultiVectorChoice
from vdr_integrations.retrieval.open_indexes import SharedIndex

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder, PairedEncoder
    from vdr_integrations.index import Compression, LateInteractionIndex, Manifest
    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.retrieval.bank_choice import QuestionBankChoice
    from vdr_integrations.retrieval.open_indexes import IndexChoice
    from vdr_integrations.retrieval.question import Question
    from vdr_integrations.types import PixelBudget

    AnyEncoder = DenseEncoder | MultiVectorEncoder

__all__ = ["IndexAndEncoders"]

_QUESTIONS_KEPT = 16
_LONGEST_KEPT = 4096
"""Tokens of a question that is kept: 2 MB, at 128 float32 numbers a token."""


class IndexAndEncoders:
    """An index and its encoders, opened and loaded on first use, by any number of threads.

    Attributes:
        shared: The index; None to rerank without one.
        recall: The choice of the encoder of dense vectors beside token vectors; None for none.
    """

    def __init__(
        self,
        index: IndexChoice | SharedIndex | None,
        encoder: AnyEncoder | EncoderOptions | None,
        recall: DenseEncoder | EncoderOptions | None,
        *,
        late_only: bool,
    ) -> None:
        """Open and load nothing yet; see ``PageSearcher``."""
        self._late_only = late_only
        self.shared = (
            index if index is None or isinstance(index, SharedIndex) else SharedIndex(index)
        )
        self.recall = None if recall is None else DenseChoice(recall)
        self._encoder = encoder
        self._late: MultiVectorChoice | None = None
        self._dense: DenseChoice | None = None
        self._questions = PerProcess(_Questions)
        self._banks: dict[str, QuestionBank | None] = {}

    @property
    def model_name(self) -> str | None:
        """The model that the caller chose; None if the index decides."""
        if isinstance(self._encoder, EncoderOptions):
            return self._encoder.model
        return None if self._encoder is None else self._encoder.name

    def index(self) -> PageIndex:
        """The index.

        Raises:
            IndexStoreError: It cannot be opened.
            OptionError: There is none.
        """
        if self.shared is None:
            raise OptionError("this searcher has no index; give one to search.")
        index = self.shared.get()
        if self._late_only and index.late is None:
            with self.recovering(index):
                raise _not_late(index)
        return index

    def late_index(self) -> LateInteractionIndex | None:
        """The index if there is one.

        Raises:
            IndexMismatchError: It keeps one vector a page.
        """
        if self.shared is None:
            return None
        index = self.shared.get()
        if index.late is None:
            with self.recovering(index):
                raise _not_late(index)
        return index.late

    def encoder(self, index: PageIndex) -> AnyEncoder:
        """The encoder of an index of either kind."""
        return self.dense_encoder(index) if index.late is None else self.late_encoder(index.late)

    def late_encoder(self, index: LateInteractionIndex | None) -> MultiVectorEncoder:
        """The encoder of one vector a token.

        Raises:
            IndexMismatchError: Its vectors do not compare with those of the index.
            OptionError: The model gives one vector a page.
            CheckpointError: It cannot be loaded.
        """
        if index is None:
            return self._late_choice().get(None)
        with _as_it_is_now(index):
            return self._late_choice().get(index.manifest, index_path=index.path)

    def dense_encoder(self, index: PageIndex) -> DenseEncoder:
        """The encoder of one vector a page, for an index that keeps nothing else.

        Raises:
            IndexMismatchError: Another encoder made the index, or a ``recall`` was given, which an
                index of one vector a page has no use for.
        """
        if self.recall is not None:
            raise IndexMismatchError(
                f"index {index.path} keeps one vector a page, and recall is for token vectors; "
                f"leave recall out."
            )
        with _as_it_is_now(index):
            return self._dense_choice().get(index.manifest, index_path=index.path)

    def recall_encoder(self, index: LateInteractionIndex) -> DenseEncoder | None:
        """The encoder of the dense vectors beside token vectors; None if the caller gave none.

        Raises:
            IndexMismatchError: The index keeps none, or those of another encoder.
        """
        if self.recall is None:
            return None
        if index.dense_manifest is None:
            raise IndexMismatchError(
                f"index {index.path} was made without dense vectors; leave recall out, or index "
                f"into another place with recall."
            )
        return self.recall.get(index.dense_manifest, index_path=index.path)

    def page_encoder(self, index: PageIndex) -> AnyEncoder | PairedEncoder:
        """What encodes pages for the index: both encoders if it keeps both kinds of vectors.

        Raises:
            IndexMismatchError: It keeps both, and no recall was given; or the other way round.
        """
        late = index.late
        if late is None:
            return self.dense_encoder(index)
        dense = self.recall_encoder(late)
        if dense is not None:
            from vdr_integrations.encoders import PairedEncoder

            return PairedEncoder(dense=dense, multi_vector=self.late_encoder(late))
        if late.dense_manifest is not None:
            raise IndexMismatchError(
                f"index {index.path} keeps dense vectors of {late.dense_manifest.model} beside "
                f"token vectors; give the encoder that makes them as recall."
            )
        return self.late_encoder(late)

    def pixel_budget(self) -> PixelBudget | None:
        """The size of pages in the index, without loading a model; None without an index."""
        if self.shared is None:
            return None
        index = self.shared.get()
        budget, dense = index.manifest.pixel_budget, index.dense_manifest
        return budget if dense is None else budget.for_both(dense.pixel_budget)

    def create(
        self,
        *,
        late_interaction: bool,
        compression: Compression | None,
        question_bank: QuestionBankChoice,
        wait_s: float,
    ) -> PageIndex:
        """The index, made in its place if there is none; see ``PageSearcher.create``."""
        if self.shared is None:
            raise OptionError("this searcher has no index; give the place of one.")
        shared = self.shared

        def make() -> PageIndex:
            place = shared.location
            assert not isinstance(place, list)  # noqa: S101  # several are never made
            if not late_interaction:
                manifest = self._dense_choice().manifest()
                return new_index(place, dense=manifest, compression=compression, wait_s=wait_s)
            late = self._late_choice()
            dense: Manifest | None = None if self.recall is None else self.recall.manifest()
            return new_index(
                place,
                tokens=late.manifest(),
                dense=dense,
                checkpoint=late.get(None).checkpoint,
                compression=compression,
                question_bank=chosen_bank(question_bank, late.get(None)),
                wait_s=wait_s,
            )

        def replaces(index: PageIndex) -> bool:
            if isinstance(shared.location, QdrantServer):
                return False
            if compression not in {None, index.compression}:
                return True
            return (index.late is not None) != late_interaction or not self._fits(index)

        return shared.get(create=make, replaces=replaces)

    def check_bank(self, choice: QuestionBankChoice, index: PageIndex) -> None:
        """Refuse an index with another question bank than this one.

        Raises:
            OptionError: It has another one, or none, or keeps one vector a page.
        """
        late = index.late
        wanted = None
        if late is not None:
            wanted = chosen_bank(choice, self.late_encoder(late))
        elif choice is not None:
            raise OptionError(
                f"index {index.path} keeps one vector a page, and a question bank is for token "
                f"vectors; leave question_bank out."
            )
        found = None if late is None else late.correction
        if found != (None if wanted is None else wanted.correction):
            raise OptionError(
                f"index {index.path} was made with {'another' if found else 'no'} question bank; "
                f"leave question_bank out, or make another index."
            )

    def _fits(self, index: PageIndex) -> bool:
        try:
            self.page_encoder(index)
        except (IndexMismatchError, OptionError):
            return False
        return True

    @contextmanager
    def recovering(self, index: PageIndex | None) -> Generator[None]:
        """Open the index again at the next use if something is wrong with it in this block."""
        try:
            yield
        except IndexStoreError:
            if self.shared is not None and index is not None:
                self.shared.forget(index)
            raise

    def scale(
        self,
        question: Question,
        query: NDArray[np.float32],
        index: LateInteractionIndex | None,
        encoder: MultiVectorEncoder,
        *,
        correction: float | None,
    ) -> ScoreScale:
        """By what the scores of pages are corrected for a question.

        Args:
            question: The question.
            query: Its token vectors.
            index: The index whose bank counts; None: the bank of the encoder's checkpoint.
            encoder: The encoder.
            correction: See ``SearchOptions``.

        Raises:
            OptionError: A correction that is not allowed, or none that can be made.
        """
        correction = question.correction(correction)
        if index is not None:
            weight = index.bias_weight(len(query), correction=correction)
            return ScoreScale(correction, cache(index.question_bank), weight)
        bank = self._checkpoint_bank(encoder)
        strength = None if correction is None else check_strength(correction)
        if bank is None:
            if strength:
                raise OptionError(
                    f"{encoder.name} brings no question bank, and there is no index, so scores "
                    f"cannot be corrected; leave correction out."
                )
            return ScoreScale()
        return ScoreScale(
            bank=lambda: bank, weight=bank.correction.weight(len(query), strength=strength)
        )

    def _checkpoint_bank(self, encoder: MultiVectorEncoder) -> QuestionBank | None:
        kept = self._banks
        if encoder.fingerprint not in kept:
            kept[encoder.fingerprint] = QuestionBank.of_checkpoint(encoder)
        return kept[encoder.fingerprint]

    def tokens(self, question: Question, encoder: MultiVectorEncoder) -> NDArray[np.float32]:
        """float32 (query tokens, dimension); texts that were asked lately are not encoded again."""
        kept = self._questions.value
        found = kept.get(question, encoder)
        return kept.keep(question, encoder, question.tokens(encoder)) if found is None else found

    async def atokens(self, question: Question, encoder: MultiVectorEncoder) -> NDArray[np.float32]:
        """:meth:`tokens` without blocking the event loop."""
        kept = self._questions.value
        found = kept.get(question, encoder)
        if found is None:
            return kept.keep(question, encoder, await question.atokens(encoder))
        return found

    def keep(
        self, question: Question, encoder: MultiVectorEncoder, vectors: NDArray[np.float32]
    ) -> None:
        """Remember the token vectors of a question that was encoded elsewhere."""
        self._questions.value.keep(question, encoder, vectors)

    async def aopen(self) -> None:
        """Open the index and load its encoders outside the event loop."""

        def ready() -> None:
            if self.shared is None:
                self.late_encoder(None)
                return
            index = self.index()
            self.encoder(index)
            if index.late is not None and self.recall is not None:
                self.recall_encoder(index.late)

        await asyncio.to_thread(ready)

    def _late_choice(self) -> MultiVectorChoice:
        if self._late is None:
            self._late = MultiVectorChoice(self._encoder)  # pyright: ignore[reportArgumentType]  # refuses the other kind
        return self._late

    def _dense_choice(self) -> DenseChoice:
        if self._dense is None:
            self._dense = DenseChoice(self._encoder)  # pyright: ignore[reportArgumentType]  # refuses the other kind
        return self._dense


@contextmanager
def _as_it_is_now(index: PageIndex) -> Generator[None]:
    """Say of a model that does not fit an index that the index was made again, if it was.

    Raises:
        IndexMismatchError: It was.
    """
    try:
        yield
    except OptionError:
        index.count_pages()
        raise


def _not_late(index: PageIndex) -> IndexMismatchError:
    return IndexMismatchError(
        f"index {index.path} keeps one vector a page, which says nothing about places on it; this "
        f"needs an index of late interaction (vdr index --late-interaction)."
    )


class _Questions:
    """The last texts that were asked, by encoder, as token vectors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, tuple[str, ...]], NDArray[np.float32]] = OrderedDict()

    def get(self, question: Question, encoder: MultiVectorEncoder) -> NDArray[np.float32] | None:
        key = (encoder.fingerprint, question.texts)
        if question.page is not None:
            return None
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    def keep(
        self, question: Question, encoder: MultiVectorEncoder, vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        if question.texts and question.page is None and len(vectors) <= _LONGEST_KEPT:
            vectors.setflags(write=False)
            with self._lock:
                self._kept[encoder.fingerprint, question.texts] = vectors
                while len(self._kept) > _QUESTIONS_KEPT:
                    self._kept.popitem(last=False)
        return vectors
