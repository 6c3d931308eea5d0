"""The tokenizer: byte-level BPE over folded text, with the special tokens of Qwen2-VL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from training.lexicon import LANGUAGES, frequencies, invented, number
from training.prompts import SPECIAL_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VOCABULARY = 7168
# words with the space before them; digits and marks one by one
PIECES = r" ?\p{L}+| ?\p{N}|\s+(?!\S)|[^\s\p{L}\p{N}]|\s+"
# marks before a word are a space: l'uva and (uva) are cut as uva is, and ¿ says nothing
BEFORE_WORDS = r"\s*[^\s\p{L}\p{N}]+(?=\p{L})"
NORMALIZER = normalizers.Sequence(
    [
        normalizers.NFD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(BEFORE_WORDS), " "),
    ]
)


def _training_words(seed: int = 5) -> Iterator[str]:
    """Words with a leading space, repeated by the square root of their frequency."""
    rng = np.random.default_rng(seed)
    for language in LANGUAGES:
        for word, freq in frequencies(language).items():
            count = max(1, int((freq * 1e8) ** 0.5))
            yield from [f" {word}"] * count
    for _ in range(20_000):
        yield f" {invented(rng)} {number(rng)}"


def train_tokenizer(folder: Path) -> Tokenizer:
    """Train the tokenizer and write tokenizer.json and tokenizer_config.json to ``folder``."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = NORMALIZER
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_words(), trainer)
    save_tokenizer(tokenizer, folder)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the two files that ``AutoTokenizer`` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "additional_special_tokens": [t for t in SPECIAL_TOKENS if t != "<|endoftext|>"],
        "model_max_length": 4096,
        "padding_side": "left",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
