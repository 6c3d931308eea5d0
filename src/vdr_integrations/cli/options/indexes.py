"""Indexes of either kind: opened by what lies in their folder, made as the caller asks."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from vdr_integrations.cli.options.compression_option import compression_words
from vdr_integrations.errors import IndexNotFoundError, OptionError
from vdr_integrations.index import DenseIndex, LateInteractionIndex, Manifest, open_index

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.cli.options.model_settings import ModelSettings
    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder, PairedEncoder
    from vdr_integrations.index import Compression
    from vdr_integrations.index.sync.page_encoding import SyncEncoder
    from vdr_integrations.types import Hit

__all__ = ["Index", "Kind", "index_to_write", "opened_index", "search"]

Index: TypeAlias = DenseIndex | LateInteractionIndex


@dataclass(frozen=True, slots=True)
class Kind:
    """What the caller wants a new index to be; one that is there keeps its kind.

    Attributes:
        late_interaction: One vector a token; else one a page.
        compression: Of token vectors; None where the caller said nothing.
        recall: Model whose vector of each page lies beside those of its tokens; None likewise.
    """

    late_interaction: bool = False
    compression: Compression | None = None
    recall: str | None = None

    def check_new(self) -> None:
        """Refuse options that a new index of this kind does not have.

        Raises:
            OptionError: Compression or recall without late interaction.
        """
        if self.late_interaction:
            return
        if self.compression is not None:
            raise OptionError("--compression is of token vectors; add --late-interaction.")
        if self.recall is not None:
            raise OptionError("--recall is for token vectors; add --late-interaction.")

    def check(self, index: Index) -> None:
        """Refuse an index that is of another kind, compressed otherwise, or without dense vectors.

        Raises:
            OptionError: It is.
        """
        if not isinstance(index, LateInteractionIndex):
            if self.late_interaction or self.compression is not None or self.recall is not None:
                raise OptionError(
                    f"index {index.path} keeps one vector a page; leave --late-interaction, "
                    f"--compression and --recall out, or index into another folder."
                )
            return
        if self.recall is not None and index.dense_manifest is None:
            raise OptionError(
                f"index {index.path} was made without dense vectors; leave --recall out, or index "
                f"into another folder."
            )
        if self.compression not in {None, index.compression}:
            raise OptionError(
                f"index {index.path} was made with --compression "
                f"{compression_words(index.compression)}; leave --compression out, or index into "
                f"another folder."
            )


@contextmanager
def opened_index(path: Path, *, wait_s: float = 0.0) -> Generator[Index]:
    """The index in a folder, closed at the end.

    Args:
        path: The folder.
        wait_s: How long writes wait for another writer.

    Raises:
        IndexNotFoundError: There is none.
        IndexFormatError: Not an index, damaged, or of another format.
    """
    with open_index(path, wait_s=wait_s) as index:
        yield index


@contextmanager
def index_to_write(
    path: Path, settings: ModelSettings, kind: Kind, *, wait_s: float = 0.0
) -> Generator[tuple[Index, SyncEncoder]]:
    """The index in a folder, or a new one, and its encoder; closed at the end.

    A new index is made when its model is loaded: a model that does not load leaves no folder.

    Raises:
        OptionError: The index that is there is of another kind.
        IndexStoreError: See :func:`opened_index`.
        CheckpointError: The model cannot be loaded.
    """
    with ExitStack() as stack:
        try:
            index = stack.enter_context(opened_index(path, wait_s=wait_s))
        except IndexNotFoundError:
            kind.check_new()
            index, encoder = stack.enter_context(_new_index(path, settings, kind, wait_s))
        else:
            kind.check(index)
            encoder = _encoder(index, settings, kind)
        yield index, encoder


def search(
    index: Index,
    settings: ModelSettings,
    questions: Sequence[str],
    *,
    k: int,
    exhaustive: bool,
    recall: bool = False,
    recall_model: str | None = None,
) -> Iterator[list[Hit]]:
    """The hits of each question, best first.

    Args:
        index: Of either kind.
        settings: Of the encoder.
        questions: In plain words.
        k: At most this many hits each.
        exhaustive: Compare every page; a dense index always does.
        recall: Bring candidates by the dense vectors beside those of tokens.
        recall_model: Where the model that made these is now; None: as it was indexed.

    Raises:
        IndexMismatchError: Another model made the index.
        OptionError: Recall, and the index keeps one kind of vectors.
    """
    if isinstance(index, LateInteractionIndex):
        vectors: Sequence[NDArray[np.float32] | None] = [None] * len(questions)
        if recall:
            vectors = [*_dense_queries(index, settings, questions, model=recall_model)]
        late, _, _ = settings.load_late(index.manifest)
        index.manifest.check(late, index_path=index.path)
        for matrix, vector in zip(late.encode_queries(questions), vectors, strict=True):
            yield index.search(matrix, k=k, exhaustive=exhaustive, dense_query=vector)
    elif recall:
        raise OptionError(f"index {index.path} keeps one vector a page; leave --recall out.")
    else:
        dense, _, _ = settings.load_dense(index.manifest)
        index.manifest.check(dense, index_path=index.path)
        for vector in dense.encode_queries(questions):
            yield index.search(vector, k=k)


def _dense_queries(
    index: LateInteractionIndex,
    settings: ModelSettings,
    questions: Sequence[str],
    *,
    model: str | None,
) -> NDArray[np.float32]:
    if index.dense_manifest is None:
        raise OptionError(
            f"index {index.path} was made without dense vectors; leave --recall out, or index "
            f"into another folder with --recall MODEL."
        )
    dense, _, _ = settings.load_recall(model, index.dense_manifest)
    index.dense_manifest.check(dense, index_path=index.path)
    return dense.encode_queries(questions)


def _encoder(index: Index, settings: ModelSettings, kind: Kind) -> SyncEncoder:
    if not isinstance(index, LateInteractionIndex):
        return settings.load_dense(index.manifest)[0]
    if index.dense_manifest is None:
        return settings.load_late(index.manifest)[0]
    late, _, _ = replace(settings, dimension=None).load_late(index.manifest)
    return _pair(late, settings.load_recall(kind.recall, index.dense_manifest)[0])


def _pair(late: MultiVectorEncoder, dense: DenseEncoder) -> PairedEncoder:
    from vdr_integrations.encoders import PairedEncoder

    return PairedEncoder(dense=dense, multi_vector=late)


@contextmanager
def _new_index(
    path: Path, settings: ModelSettings, kind: Kind, wait_s: float
) -> Generator[tuple[Index, SyncEncoder]]:
    if kind.late_interaction:
        for_late = settings if kind.recall is None else replace(settings, dimension=None)
        encoder, model, revision = for_late.load_late()
        manifest = Manifest.of(encoder, model=model, revision=revision)
        prompts = {
            "page": encoder.checkpoint.page_prompt,
            "query": encoder.checkpoint.query_prompt,
        }
        beside: Manifest | None = None
        both: SyncEncoder = encoder
        if kind.recall is not None:
            dense, model, revision = settings.load_recall(kind.recall)
            beside = Manifest.of(dense, model=model, revision=revision)
            both = _pair(encoder, dense)
        with LateInteractionIndex.create(
            path,
            manifest=manifest,
            dense_manifest=beside,
            compression=kind.compression,
            prompts=prompts,
            wait_s=wait_s,
        ) as index:
            yield index, both
    else:
        encoder, model, revision = settings.load_dense()
        manifest = Manifest.of(encoder, model=model, revision=revision)
        with DenseIndex.create(path, manifest=manifest, wait_s=wait_s) as index:
            yield index, encoder
