"""Opens and makes the indexes that ``vdr eval`` compares."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vdr_integrations.cli.options.common_options import folders_in
from vdr_integrations.cli.options.indexes import (
    Kind,
    one_or_several,
    searcher_to_write,
)
from vdr_integrations.encoders.checkpoints.known_checkpoints import checkpoint_for
from vdr_integrations.encoders.elsewhere.server_address import is_server_address
from vdr_integrations.errors import OptionError
from vdr_integrations.evaluation import SearchSystem, derive_index
from vdr_integrations.index import open_index
from vdr_integrations.retrieval import PageSearcher

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from vdr_integrations.cli.options.eval_settings import Change
    from vdr_integrations.encoders import EncoderOptions
    from vdr_integrations.retrieval.bank_choice import QuestionBankChoice

__all__ = ["Sync", "SystemMaker", "model_name"]


class Sync(Protocol):
    """Brings the index of a searcher up to date with the documents."""

    def __call__(self, searcher: PageSearcher, *, name: str) -> object:
        """Index them; ``name`` is that of the system."""
        ...


@dataclass(frozen=True, slots=True)
class SystemMaker:
    """Makes systems, and keeps their indexes open.

    Attributes:
        stack: Closes what is opened.
        folder: Where indexes are made.
        options: Options of encoders that all systems share, such as the device. Indexes that are
            there are searched with its model, if it has one.
        search: Arguments of ``PageSearcher`` beside index and encoder.
        sync: Indexes the documents.
    """

    stack: ExitStack
    folder: Path
    options: EncoderOptions
    search: dict[str, Any]
    sync: Sync

    def of_index(self, path: Path, changes: Sequence[Change], *, name: str) -> list[SearchSystem]:
        """An index that is there, or several as one, and one for each change.

        Raises:
            IndexStoreError: It cannot be opened.
            OptionError: A change needs its documents.
        """
        index = self.stack.enter_context(open_index(one_or_several(folders_in(path))))
        if index.is_empty:
            raise OptionError(f"index {path} has no pages; add some: vdr index FOLDER --index ...")
        for change in changes:
            if not change.is_computed:
                raise OptionError(
                    f"--compare {change.words}: a pixel budget needs the pages again, and "
                    f"{path} is an index; name its model with --model {index.manifest.model}, and "
                    f"its documents."
                )
        manifest = index.manifest
        options = replace(self.options, max_visual_tokens=manifest.max_visual_tokens)
        if options.model is None:
            options = replace(options, model=manifest.model, revision=manifest.revision)
        searcher = PageSearcher(index, encoder=self.options, **self.search)
        return self._all_of(name, searcher, options, changes)

    def of_model(self, model: str, changes: Sequence[Change]) -> list[SearchSystem]:
        """The documents indexed by a model, and once more for each change.

        Raises:
            CheckpointError: The model cannot be loaded.
            ModelServerError: The server whose address it is cannot be used.
        """
        systems: list[SearchSystem] = []
        is_late = _is_late(model)
        budgets = dict.fromkeys(change.max_visual_tokens for change in changes)
        for budget in {None: None, **budgets}:
            here = [change for change in changes if change.max_visual_tokens == budget]
            options = replace(self.options, model=model)
            name = model_name(model)
            if budget is not None:
                options = replace(options, max_visual_tokens=budget)
                name += f" tokens={budget}"
            searcher = self._made(name, options, is_late=is_late)
            self.sync(searcher, name=name)
            computed = [replace(one, words=_other_words(one)) for one in here]
            systems += self._all_of(name, searcher, options, [one for one in computed if one.words])
        return systems

    def _all_of(
        self,
        name: str,
        searcher: PageSearcher,
        options: EncoderOptions,
        changes: Sequence[Change],
    ) -> list[SearchSystem]:
        """A model or index, its hybrid search, and what is changed."""
        hybrid = SearchSystem(f"{name} hybrid", searcher, {"exhaustive": True, "hybrid": True})
        derived = self._derived(name, searcher, options, changes)
        return [SearchSystem(name, searcher), hybrid, *derived]

    def _derived(
        self,
        name: str,
        searcher: PageSearcher,
        options: EncoderOptions,
        changes: Sequence[Change],
    ) -> list[SearchSystem]:
        is_late = searcher.index.late is not None
        systems: list[SearchSystem] = []
        for change in changes:
            if not change.fits(is_late=is_late):
                continue
            changed = replace(options, dimension=change.dimension)
            own = f"{name} {change.words}"
            if change.correction is not None:
                asked = {"exhaustive": True, "correction": change.correction}
                systems.append(SearchSystem(own, searcher, asked))
                continue
            bank = None if searcher.index.late is None else searcher.index.late.question_bank()
            made = self._made(own, changed, is_late=is_late, change=change, bank=bank)
            derive_index(searcher.index, made.index)
            systems.append(SearchSystem(own, made))
        return systems

    def _made(
        self,
        name: str,
        options: EncoderOptions,
        *,
        is_late: bool,
        change: Change | None = None,
        bank: QuestionBankChoice = "model",
    ) -> PageSearcher:
        compression = None if change is None else change.compression
        chosen = bank if is_late else "model"
        kind = Kind(late_interaction=is_late, compression=compression, question_bank=chosen)
        place = self.folder / re.sub(r"[^\w.=-]+", "-", name)
        writing = self.stack.enter_context(searcher_to_write(place, options, kind))
        # Its index and encoder are open by now; this one draws pages as the caller says.
        return PageSearcher(writing.index, encoder=writing.encoder, **self.search)


def model_name(model: str) -> str:
    """What a model is called in tables: its Hub id, or the name of its folder."""
    return Path(model).name if Path(model).is_dir() else model


def _is_late(model: str) -> bool:
    """Whether a model gives one vector a token; a server is asked."""
    if not is_server_address(model):
        return checkpoint_for(model).is_multi_vector
    from vdr_integrations.encoders import load_encoder

    return load_encoder(model).checkpoint.is_multi_vector


def _other_words(change: Change) -> str:
    return ",".join(word for word in change.words.split(",") if not word.startswith("tokens="))
