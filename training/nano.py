"""The whole model: vision tower, text tower and prompts, for documents and for queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from training.codes import CharCodes, windows
from training.lexicon import LANGUAGES, fold, frequencies, split_words
from training.near import NEAR, near_kernel
from training.prompts import (
    DOCUMENT_PROMPT,
    DUMMY_GRID,
    QUERY_PROMPT,
    SPECIAL_TOKENS,
    split_at_image,
)
from training.text import Text, TextConfig, image_positions, text_positions
from training.vision import CELL, Vision, VisionConfig

if TYPE_CHECKING:
    from pathlib import Path

SCALE = 8.0  # of visual tokens: Adam's steps are small beside it, and RMSNorm takes it out
CONSTANT = 0.5  # length of the constant part of a visual token, beside codes of length ~ 1
TEXT_CONSTANT = 4.0  # the same of a text token, in a direction of its own
SIGN = 4.0  # length of what tells <|im_start|> and the other marks from words
CLOSED = 0.7  # text tokens shut the first layer's gates by this times their normalised constant
CHANNELS = 6  # components beside a cell's codes that tell how much it counts (`salience.py`)
MOST_FREQUENT = 8000  # words of every language that tell what pieces usually stand in


def constant_directions(width: int) -> tuple[Tensor, Tensor]:
    """Two orthogonal unit vectors: what every visual token and every text token carries.

    RMSNorm would make all codes equally long without them, and they tell the two kinds apart.
    """
    vectors = torch.randn(width, 2, generator=torch.Generator().manual_seed(11))
    visual, text = torch.linalg.qr(vectors)[0].T.contiguous()
    return visual, text


def sign_directions(width: int) -> tuple[Tensor, Tensor]:
    """Two more: what ``<|im_start|>`` carries, and what the other marks of a prompt carry."""
    vectors = torch.randn(width, 2, generator=torch.Generator().manual_seed(12))
    sink, mark = torch.linalg.qr(without_constants(vectors.T).T)[0].T.contiguous()
    return sink, mark


def salience_directions(width: int) -> Tensor:
    """More of them (`CHANNELS` + 2, width): what cells are weighed by.

    Last but one, what others add; last, how full the page is up to a cell.
    """
    vectors = torch.randn(CHANNELS + 2, width, generator=torch.Generator().manual_seed(13))
    taken = torch.stack([*constant_directions(width), *sign_directions(width)])
    return torch.linalg.qr(torch.cat([taken, vectors]).T)[0].T[len(taken) :].contiguous()


def without(x: Tensor, directions: Tensor) -> Tensor:
    """``x`` (..., width) less its components along orthonormal ``directions`` (n, width)."""
    return x - x @ directions.T @ directions


def without_signs(x: Tensor) -> Tensor:
    """``x`` (..., width) less its components along all of those directions."""
    width = x.shape[-1]
    marks = torch.stack([*constant_directions(width), *sign_directions(width)])
    return without(x, torch.cat([marks, salience_directions(width)]))


def without_constants(x: Tensor) -> Tensor:
    """``x`` (..., width) less its components along the constant directions."""
    return without(x, torch.stack(constant_directions(x.shape[-1])))


class Nano(nn.Module):
    """A Qwen2-VL of a few million parameters with vdr-2b-multi-v1's prompts and pooling."""

    def __init__(self, tokenizer: Tokenizer, vision: Vision | None = None) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.visual = vision or Vision(VisionConfig())
        self.text = Text(TextConfig(vocabulary=tokenizer.get_vocab_size()))
        self.document_ids = split_at_image(tokenizer, DOCUMENT_PROMPT)
        head, tail = QUERY_PROMPT.split("%s")
        self.query_before = split_at_image(tokenizer, head + tail)

    def visual_tokens(self, images: Tensor) -> Tensor:
        """uint8 images (B, H, W, 3) -> visual tokens (B, cells, hidden)."""
        return self.visual.merger(self.visual(images))

    def coded_tokens(self, features: Tensor) -> Tensor:
        """Features of patches -> visual tokens after the first layer's MLP, in training.

        The constants are held fixed here; `fix_constants` puts that into the weights, and keeps
        codes away from what marks carry.
        """
        visual, _ = constant_directions(self.text.config.hidden)
        tokens = without_constants(self.visual.merger(features)) + SCALE * CONSTANT * visual
        layer = self.text.layers[0]
        return tokens + without_constants(layer.mlp(layer.post_attention_layernorm(tokens)))

    @torch.no_grad()
    def fix_constants(self) -> None:
        """Give the merger and the first layer's MLP the constants of `coded_tokens`.

        Text tokens shut every gate of that MLP, so that it changes visual tokens alone.
        """
        visual, text = constant_directions(self.text.config.hidden)
        out = self.visual.merger.mlp[2]
        out.weight.copy_(without_signs(out.weight.T).T)
        out.bias.copy_(without_signs(out.bias) + SCALE * CONSTANT * visual)
        layer = self.text.layers[0]
        layer.mlp.down_proj.weight.copy_(without_signs(layer.mlp.down_proj.weight.T).T)
        scale = layer.post_attention_layernorm.weight
        told = salience_directions(len(scale))
        gate = without(layer.mlp.gate_proj.weight * scale, told)
        gate -= torch.outer(gate @ text + CLOSED, text)
        layer.mlp.gate_proj.weight.copy_(gate)
        layer.mlp.up_proj.weight.copy_(without(layer.mlp.up_proj.weight * scale, told))
        scale.fill_(1.0)

    def documents(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        """Visual tokens of equal images -> dense vectors (B, hidden), not normalised."""
        return self.document_states(tokens, rows, columns)[:, -1]

    def document_states(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        """Last hidden states of the whole document prompt."""
        before, after = self.document_ids.before, self.document_ids.after
        batch, start = len(tokens), len(before)
        positions = torch.cat(
            [
                text_positions(0, start),
                image_positions(start, rows, columns),
                text_positions(start + max(rows, columns), len(after)),
            ],
            1,
        )
        embed = self.text.embed_tokens
        parts = [
            embed(torch.tensor(before)).expand(batch, -1, -1),
            tokens,
            embed(torch.tensor(after)).expand(batch, -1, -1),
        ]
        return self.text(torch.cat(parts, 1), positions)[0]

    def encode_images(self, images: Tensor) -> Tensor:
        """uint8 images (B, H, W, 3) -> dense vectors."""
        rows, columns = images.shape[1] // CELL, images.shape[2] // CELL
        return self.documents(self.visual_tokens(images), rows, columns)

    def query_ids(self, query: str) -> list[int]:
        """Token ids of the query prompt after its image."""
        return split_at_image(self.tokenizer, QUERY_PROMPT % query).after

    def encode_queries(self, queries: list[str], dummy: Tensor | None = None) -> Tensor:
        """Queries -> dense vectors; what comes before the query is computed once for all."""
        ids = [self.query_ids(q) for q in queries]
        shared = 1  # <|vision_end|>
        if dummy is None:
            side = DUMMY_GRID[0] * CELL
            dummy = self.visual_tokens(torch.zeros(1, side, side, 3, dtype=torch.uint8))
        before = self.query_before.before + [-1] * dummy.shape[1] + ids[0][:shared]
        start = len(self.query_before.before)
        embed = self.text.embed_tokens
        after_image = start + max(DUMMY_GRID)
        prefix = torch.cat(
            [
                embed(torch.tensor(before[:start])),
                dummy[0],
                embed(torch.tensor(ids[0][:shared])),
            ]
        )
        positions = torch.cat(
            [
                text_positions(0, start),
                image_positions(start, *DUMMY_GRID),
                text_positions(after_image, shared),
            ],
            1,
        )
        _, past = self.text(prefix[None], positions)
        rest = [torch.tensor(i[shared:]) for i in ids]
        padded = pad_sequence(rest, batch_first=True)
        positions = text_positions(after_image + shared, padded.shape[1])
        states, _ = self.text(embed(padded), positions, past)
        last = torch.tensor([len(r) - 1 for r in rest])
        return states[torch.arange(len(rest)), last]

    @torch.no_grad()
    def read_pages(self, whitening: Tensor, sharpness: float = 2.0) -> None:
        """Set the last layer: the last token sums up the others, which look about themselves.

        The key of the last token lies in the slowest rotary frequency, where positions make no
        difference. It makes visual tokens with long codes (large or surely read print) count more:
        the constant's share of a token after RMSNorm tells how short its code is. That constant
        makes all others look at their neighbours (`near_kernel`); the last token has none.

        Args:
            whitening: (width, width), what the sum is multiplied with.
            sharpness: How much the length of a code counts.
        """
        config = self.text.config
        width, heads, size = config.hidden, config.heads, config.head_size
        visual, text = constant_directions(width)
        attention = self.text.layers[-1].self_attn
        for linear in (attention.q_proj, attention.k_proj):
            linear.weight.zero_()
            linear.bias.zero_()
        attention.v_proj.bias.zero_()
        lengths = config.slowest
        attention.q_proj.bias.view(heads, -1)[:, lengths] = 1.0
        key = attention.k_proj.weight.view(heads, -1, width)
        key[:, lengths] = -sharpness * size**0.5 / width**0.5 * (visual + text)
        near_visual, near_text, near_key = near_kernel(config)
        near = torch.outer(near_visual, visual) + torch.outer(near_text, text)
        attention.q_proj.weight.view(heads, -1, width).add_(near)
        attention.k_proj.bias.view(heads, -1).add_(near_key)
        attention.v_proj.weight.copy_(without_signs(torch.eye(width)))
        attention.o_proj.weight.copy_(NEAR * whitening)
        self.take_back_prompt()

    @torch.no_grad()
    def take_back_prompt(self, rounds: int = 14) -> None:
        """Let the marks of the prompt cancel what its own words add to every query.

        All of them carry the same vector, against the sum of the words; its length is found by
        bisection, as that at which an empty query turns from one side to the other.
        """
        table = self.text.embed_tokens.weight
        width = table.shape[1]
        constant = TEXT_CONSTANT * constant_directions(width)[1]
        sink, mark = sign_directions(width)
        marks = {self.tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}
        last = self.tokenizer.token_to_id("<|endoftext|>")
        start = self.tokenizer.token_to_id("<|im_start|>")
        fixed = self.query_before.before + self.query_ids("")
        words = (table[torch.tensor([i for i in fixed if i not in marks])] - constant).sum(0)
        table[start] = constant + SIGN * sink
        bearing = torch.tensor(sorted(marks - {last, start}))
        towards = self.text.layers[-1].self_attn.o_proj.weight @ words
        low, high = 0.0, 1.0
        for _ in range(rounds):
            share = (low + high) / 2
            table[bearing] = constant + SIGN * mark - share * words
            if self.encode_queries([""])[0] @ towards > 0:
                low = share
            else:
                high = share

    @torch.no_grad()
    def take_pieces(self, codes: Tensor) -> None:
        """Make ``codes`` (vocabulary, width) the pieces' embeddings, each with its constant.

        Marks and the prompt are seen to by `read_pages`.
        """
        table = self.text.embed_tokens.weight
        table.copy_(codes + TEXT_CONSTANT * constant_directions(codes.shape[1])[1])
        # The last token reads the others; it says nothing of its own.
        table[self.tokenizer.token_to_id("<|endoftext|>")] = 0.0

    @torch.no_grad()
    def start_from_codes(self, codes: CharCodes) -> None:
        """Initialise so that queries and pages start as the mean of their codes.

        Pieces start as their own codes; the first layer starts as nothing, the last one as a mean
        that drops the constants.
        """
        width = self.text.config.hidden
        self.take_pieces(piece_codes(self.tokenizer, codes))
        for layer in self.text.layers:
            layer.self_attn.q_proj.weight.mul_(0.3)
            layer.self_attn.k_proj.weight.mul_(0.3)
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        self.read_pages(torch.eye(width))


@torch.no_grad()
def piece_codes(tokenizer: Tokenizer, codes: CharCodes) -> Tensor:
    """For every piece (vocabulary, dimension): what its characters add, in its usual words."""
    words = sorted(
        {
            fold(word)
            for language in LANGUAGES
            for word in list(frequencies(language))[:MOST_FREQUENT]
            if fold(word)
        }
    )
    total = torch.zeros(tokenizer.get_vocab_size(), codes.out.out_features)
    count = torch.zeros(len(total))
    for begin in range(0, len(words), 4000):
        part = words[begin : begin + 4000]
        pieces, shapes = [], []
        for word, encoding in zip(
            part, tokenizer.encode_batch([f" {w}" for w in part]), strict=True
        ):
            owner = np.repeat(-1, len(word))
            for piece, (left, right) in zip(encoding.ids, encoding.offsets, strict=True):
                owner[max(0, left - 1) : max(0, right - 1)] = piece
            pieces.append(owner)
            shapes.append(windows(word))
            count.index_add_(0, torch.tensor(encoding.ids), torch.ones(len(encoding.ids)))
        place = torch.from_numpy(np.concatenate(pieces))
        per_char = codes(torch.from_numpy(np.concatenate(shapes)))
        total.index_add_(0, place[place >= 0], per_char[place >= 0])
    for piece, index in tokenizer.get_vocab().items():
        alone = split_words(tokenizer.decode([index]))
        if not count[index] and alone and not piece.startswith("<|"):
            total[index] = codes.words(alone).sum(0)
    return total / count.clamp(min=1)[:, None]


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a checkpoint folder."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
