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
CONSTANT = 4.0  # length of the constant part of every token, beside codes of length ~ 1
MOST_FREQUENT = 8000  # words of every language that tell what pieces usually stand in


def constant_direction(width: int) -> Tensor:
    """A unit vector that every token carries, so that RMSNorm leaves code lengths alone."""
    direction = torch.randn(width, generator=torch.Generator().manual_seed(11))
    return direction / direction.norm()


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
    def weigh_by_length(self, constant: float = 0.2, sharpness: float = 8.0) -> None:
        """Let visual tokens with long codes (large or surely read print) count more.

        Their constant part shrinks to ``constant``, so that its share after RMSNorm tells how long
        a code is; the last layer's attention goes down with that share. The key lies in the
        slowest rotary frequency, where positions make no difference.
        """
        direction = constant_direction(self.text.config.hidden)
        out = self.visual.merger.mlp[2]
        out.weight -= torch.outer(direction, direction @ out.weight)
        out.bias += (SCALE * constant - direction @ out.bias) * direction
        attention = self.text.layers[-1].self_attn
        for linear in (attention.q_proj, attention.k_proj):
            linear.weight.zero_()
            linear.bias.zero_()
        width, heads = self.text.config.hidden, attention.heads
        slowest = width // heads // 2 - 1
        attention.q_proj.bias.view(heads, -1)[:, slowest] = 1.0
        strength = sharpness * (width / heads) ** 0.5 / width**0.5
        attention.k_proj.weight.view(heads, -1, width)[:, slowest] = -strength * direction

    @torch.no_grad()
    def take_back_prompt(self) -> None:
        """Let the special tokens cancel what the prompt's own words add to every query."""
        table = self.text.embed_tokens.weight
        constant = CONSTANT * constant_direction(table.shape[1])
        marks = {self.tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}
        last = self.tokenizer.token_to_id("<|endoftext|>")
        fixed = [i for i in self.query_before.before + self.query_ids("") if i != last]
        words = torch.tensor([i for i in fixed if i not in marks])
        cancelling = [i for i in fixed if i in marks]
        share = (table[words] - constant).sum(0) / len(cancelling)
        table[torch.tensor(sorted(set(cancelling)))] = constant - share

    @torch.no_grad()
    def start_from_codes(self, codes: CharCodes) -> None:
        """Initialise so that queries and pages start as the mean of their codes.

        Pieces start as their own codes; the first layer starts as nothing, the second one as a
        uniform mean that drops the constant part.
        """
        width = self.text.config.hidden
        constant = constant_direction(width)
        table = self.text.embed_tokens.weight
        table.zero_()
        table.copy_(piece_codes(self.tokenizer, codes))
        table += CONSTANT * constant
        table[self.tokenizer.token_to_id("<|endoftext|>")] = 0.0
        self.take_back_prompt()
        for layer in self.text.layers:
            layer.self_attn.q_proj.weight.mul_(0.3)
            layer.self_attn.k_proj.weight.mul_(0.3)
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        last = self.text.layers[-1].self_attn
        last.v_proj.weight.copy_(torch.eye(width) - torch.outer(constant, constant))
        last.o_proj.weight.copy_(torch.eye(width))


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
