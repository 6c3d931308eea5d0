"""The forward pass: from tokens and patches to the hidden states that become vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vdr_integrations.encoders.forward.decoder import Decoder, Deepstack, Prefix
from vdr_integrations.encoders.forward.host_to_device import Staging
from vdr_integrations.encoders.forward.model_tree import ModelTree
from vdr_integrations.encoders.forward.stock_forward import StockDecoder, StockVisionTower
from vdr_integrations.encoders.preprocessing.patches import patch_positions, rope_positions
from vdr_integrations.types.computed_once import computed_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders.forward.family import Family
    from vdr_integrations.encoders.forward.model_sizes import ModelSizes
    from vdr_integrations.encoders.forward.projection import TokenProjection
    from vdr_integrations.encoders.preprocessing.prepared import PreparedPage, PreparedQuery
    from vdr_integrations.encoders.preprocessing.prompt_tokens import PromptTokens

_StockModel = Any
"""transformers' own model; its types are too loose to help a type checker."""

__all__ = ["Backbone"]

_PATCHES_PER_VISION_PASS = 4 * 4 * 768
"""Enough to use a GPU fully, and few enough that a batch of 32 pages needs little memory besides
the weights (shared research: 6.2 GB with 8 pages of 768 visual tokens in a pass, 5.1 GB with 4,
full 2B model). A single page may have more."""


class Backbone:
    """A model as a function from pages or queries to the states behind their vectors.

    That is the last hidden state of the last token, or with a projection one projected state for
    each token.

    It has no language-model head, keeps no hidden states, has no cache, and no state between calls:
    positions are computed here and passed in, so a call cannot affect the next one (transformers'
    own model keeps ``rope_deltas``). Not thread-safe: one thread at a time.

    Attributes:
        model: The module that holds the weights.
        vision: From patches to visual tokens.
        decoder: From embedded sequences to states.
        merge_size: Patches along each side of a visual token.
        hidden_size: Components of a state.
    """

    def __init__(
        self,
        model: ModelTree | _StockModel,
        *,
        family: Family,
        sizes: ModelSizes,
        page_tokens: PromptTokens,
        query_tokens: PromptTokens,
        query_image: PreparedPage | None,
        projection: TokenProjection | None = None,
    ) -> None:
        """Wrap a loaded model.

        Args:
            model: The weights, on their device. transformers' own model computes by itself.
            family: Of the model.
            sizes: Of the model.
            page_tokens: Prompt around a page.
            query_tokens: Tokens with which queries begin. Their states are computed once; a query
                that begins differently is computed completely.
            query_image: Image before every query; None if queries are text only.
            projection: Head of a late-interaction checkpoint.
        """
        self.model = model
        self._vision_sizes = sizes.vision
        if isinstance(model, ModelTree):
            self.vision = family.vision_tower(model.visual, sizes.vision)
            self.decoder = Decoder(model.language_model, sizes.decoder)
        else:
            self.vision = StockVisionTower(model.visual, sizes.vision)
            self.decoder = StockDecoder(model.language_model, sizes.decoder)
        self._staging = Staging(self.device)
        self._projection = projection
        self._page_tokens = page_tokens
        self._query_tokens = query_tokens
        self._query_image = query_image
        self.merge_size = sizes.vision.spatial_merge_size
        self.hidden_size = sizes.decoder.hidden_size

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """The format of the weights."""
        return self.model.dtype

    @torch.inference_mode()
    def pages(self, pages: Sequence[PreparedPage]) -> Sequence[NDArray[np.float32]]:
        """Encode pages that all have the same number of patches.

        If the model has windows, they must have the same rows and columns of them.

        Returns:
            float32 (hidden size,) for each page; with a projection (tokens, dimension).
        """
        states = self.page_states(pages)
        return self._read_off(states, [states.shape[1]] * len(pages))

    def page_states(self, pages: Sequence[PreparedPage]) -> torch.Tensor:
        """The states that :meth:`pages` reads, on the device; the host does not wait for them.

        Returns:
            (pages, tokens or 1, hidden size).
        """
        tokens = self._page_tokens
        cut = len(tokens.before)
        visual_tokens = pages[0].patch_count // self.merge_size**2
        ids = np.array([*tokens.before, *[0] * visual_tokens, *tokens.after])
        places = [self._patch_positions(page) for page in pages]
        ids, positions, places = self._staging.integers(
            np.tile(ids, (len(pages), 1)),
            np.stack([self._positions(tokens, page.grid) for page in pages], axis=1),
            np.stack(places),
        )
        embedded = self._embedded(ids)
        at_once = max(1, _PATCHES_PER_VISION_PASS // pages[0].patch_count)
        deep: list[torch.Tensor] = []
        for start in range(0, len(pages), at_once):
            some = slice(start, start + at_once)
            visual = self._visual_tokens(pages[some], places[some])
            embedded[some, cut : cut + visual_tokens] = visual[..., : self.hidden_size]
            deep.extend(self._deep(visual))
        is_visual = np.zeros(embedded.shape[:2], np.bool_)
        is_visual[:, cut : cut + visual_tokens] = True
        deepstack = Deepstack(is_visual, torch.cat(deep)) if deep else None
        return self._states(embedded, positions, is_token=None, deepstack=deepstack)

    @torch.inference_mode()
    def queries(self, queries: Sequence[PreparedQuery]) -> Sequence[NDArray[np.float32]]:
        """Encode queries of any lengths.

        Returns:
            float32 (hidden size,) for each query; with a projection (tokens, dimension).
        """
        return self._read_off(*self.query_states(queries))

    def query_states(self, queries: Sequence[PreparedQuery]) -> tuple[torch.Tensor, list[int]]:
        """The states that :meth:`queries` reads, on the device, and the tokens of each query.

        Returns:
            (queries, tokens or 1, hidden size), padded on the left; the lengths.
        """
        prefix = self._prefix_of(queries)
        known = 0 if prefix is None else prefix.tokens
        visual = self._query_visual
        places = [self._query_positions(query.tokens)[:, known:] for query in queries]
        lengths = [found.shape[1] for found in places]
        longest = max(lengths)
        ids = np.zeros((len(queries), longest), np.int64)
        positions = np.zeros((3, len(queries), longest), np.int64)
        image_at: list[int] = []
        for row, (query, found) in enumerate(zip(queries, places, strict=True)):
            tokens, padding = query.tokens, longest - found.shape[1]
            image_at.append(padding + len(tokens.before))
            every = (*tokens.before, *[0] * len(visual), *tokens.after)
            ids[row, padding:] = every[known:]
            positions[:, row, padding:] = found
        ids, positions = self._staging.integers(ids, positions)
        embedded = self._embedded(ids)
        deepstack = None
        if prefix is None:
            deepstack = self._put_query_image(embedded, image_at)
        mask = None
        if min(lengths) != longest:
            mask = np.arange(longest)[None] >= longest - np.array(lengths)[:, None]
        states = self._states(
            embedded, positions, is_token=mask, prefix=prefix, deepstack=deepstack
        )
        return states, lengths

    def _put_query_image(self, embedded: torch.Tensor, image_at: Sequence[int]) -> Deepstack | None:
        """Put the image of queries into embedded sequences, each at its place."""
        visual = self._query_visual
        is_visual = np.zeros(embedded.shape[:2], np.bool_)
        for row, start in enumerate(image_at):
            embedded[row, start : start + len(visual)] = visual[:, : self.hidden_size]
            is_visual[row, start : start + len(visual)] = True
        deep = [part for _ in image_at for part in self._deep(visual)]
        return Deepstack(is_visual, torch.cat(deep)) if deep and len(visual) else None

    def _deep(self, visual: torch.Tensor) -> list[torch.Tensor]:
        """What the decoder's first layers get of visual tokens, (tokens, ...); nothing for most."""
        deep = visual[..., self.hidden_size :]
        return [deep.flatten(0, -2)] if deep.shape[-1] else []

    def _prefix_of(self, queries: Sequence[PreparedQuery]) -> Prefix | None:
        """The beginning of all these queries, if it is known and its own states are not needed."""
        if self._projection is not None or not isinstance(self.decoder, Decoder):
            return None
        after = self._query_tokens.after
        if any(query.tokens.after[: len(after)] != after for query in queries):
            return None
        if any(len(query.tokens.after) == len(after) for query in queries):
            return None  # the query has no token of its own whose last state is the vector
        has_tokens = self._query_tokens.before or after
        return self._query_prefix if has_tokens else None

    @computed_once
    def _query_prefix(self) -> Prefix:
        # System prompt, black square and "Query:": most of a query's tokens, always the same.
        tokens, visual = self._query_tokens, self._query_visual
        ids, positions = self._staging.integers(
            np.array([[*tokens.before, *[0] * len(visual), *tokens.after]]),
            self._query_positions(tokens)[:, None],
        )
        embedded = self._embedded(ids)
        deepstack = self._put_query_image(embedded, [len(tokens.before)])
        assert isinstance(self.decoder, Decoder)  # noqa: S101  # _prefix_of has checked it
        return self.decoder.prefix(embedded, positions, deepstack=deepstack)

    @computed_once
    def _query_visual(self) -> torch.Tensor:
        # The black square of every query is the same; its features are computed once.
        if self._query_image is None:
            return torch.empty(0, self.hidden_size, device=self.device, dtype=self.dtype)
        places = self._patch_positions(self._query_image)
        return self._visual([self._query_image], self._staging.rows([places])[None])

    def _query_positions(self, tokens: PromptTokens) -> NDArray[np.int64]:
        if self._query_image is None:
            length = len(tokens.before) + len(tokens.after)
            return np.broadcast_to(np.arange(length), (3, length))
        return self._positions(tokens, self._query_image.grid)

    def _visual_tokens(self, pages: Sequence[PreparedPage], places: torch.Tensor) -> torch.Tensor:
        """(pages, visual tokens, width of the tower): the kept ones; others are computed now."""
        kept = ((n, page.visual_tokens) for n, page in enumerate(pages))
        found = {n: tokens for n, tokens in kept if tokens is not None}
        missing = [n for n in range(len(pages)) if n not in found]
        if missing:
            made = self._visual([pages[n] for n in missing], places[missing] if found else places)
            made = made.view(len(missing), -1, made.shape[-1])
            for n, tokens in zip(missing, made, strict=True):
                pages[n].keep(tokens)
            if not found:
                return made
            found.update(zip(missing, made, strict=True))
        return torch.stack([found[n] for n in range(len(pages))])

    def has_tower_of(self, other: Backbone) -> bool:
        """Whether both compute the same visual tokens of a page, with equal weights."""
        own, theirs = ((*one._tower_facts, one.device, one.dtype) for one in (self, other))  # noqa: SLF001
        if own != theirs:
            return False
        ours, others = self._tower_tensors(), other._tower_tensors()
        return ours.keys() == others.keys() and all(
            torch.equal(tensor, others[name]) for name, tensor in ours.items()
        )

    @property
    def _tower_facts(self) -> tuple[object, ...]:
        return self._vision_sizes, self.vision.attention

    def _tower_tensors(self) -> dict[str, torch.Tensor]:
        tower = self.model.visual
        return {**dict(tower.named_parameters()), **dict(tower.named_buffers())}

    def _visual(self, pages: Sequence[PreparedPage], places: torch.Tensor) -> torch.Tensor:
        """Visual tokens of pages; ``places`` (pages, patches, 2) are the patches' positions."""
        patches = self._staging.rows([page.patches for page in pages])
        return self.vision(patches, places.flatten(0, 1), len(pages), pages[0].grid)

    def _patch_positions(self, page: PreparedPage) -> NDArray[np.int64]:
        """Row and column of every patch of a page, in the order of its patches."""
        found = patch_positions(page.grid, merge_size=self.merge_size)
        order = self._vision_sizes.patch_order(page.grid)
        return found if order is None else found[order]

    def _positions(self, tokens: PromptTokens, grid: tuple[int, int]) -> NDArray[np.int64]:
        return rope_positions(
            before=len(tokens.before),
            grid=grid,
            after=len(tokens.after),
            merge_size=self.merge_size,
        )

    def _states(
        self,
        embedded: torch.Tensor,
        positions: torch.Tensor,
        *,
        is_token: NDArray[np.bool_] | None,
        prefix: Prefix | None = None,
        deepstack: Deepstack | None = None,
    ) -> torch.Tensor:
        return self.decoder(
            embedded,
            positions,
            is_token=is_token,
            last_only=self._projection is None,
            prefix=prefix,
            deepstack=deepstack,
        )

    def _embedded(self, ids: torch.Tensor) -> torch.Tensor:
        """(sequences, tokens, hidden size), a new tensor that may be changed in place."""
        return self.model.language_model.embed_tokens(ids)

    def _read_off(self, states: torch.Tensor, lengths: list[int]) -> Sequence[NDArray[np.float32]]:
        if self._projection is None:
            return list(states[:, -1].float().cpu().numpy())
        return self._projection.matrices(states, lengths)
