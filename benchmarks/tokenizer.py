"""Qwen2's tokenizer if its folder is found, otherwise a tokenizer of single bytes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Tokenizer

__all__ = ["FOLDER", "SPECIAL_TOKENS", "byte_tokenizer", "find_qwen2_tokenizer", "write_tokenizer"]

FOLDER = "qwen2-tokenizer"
"""Name of the folder with Qwen2's ``tokenizer.json`` and ``tokenizer_config.json``."""

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

_FILES = ("tokenizer.json", "tokenizer_config.json")
_ROOT = Path(__file__).resolve().parent.parent


def find_qwen2_tokenizer() -> Path | None:
    """The folder, among what Python imports from, or in ``shared`` in or beside the repository."""
    return next((folder for folder in _places() if _is_whole(folder)), None)


def write_tokenizer(folder: Path, source: Path | None) -> None:
    """Put a tokenizer into a checkpoint's folder.

    Args:
        folder: Folder of the checkpoint.
        source: Folder of Qwen2's; None for one of bytes, which gives prompts more tokens.
    """
    if source is not None:
        for name in _FILES:
            shutil.copy(source / name, folder / name)
        return
    from tokenizers import processors

    # As transformers saves them, which takes seconds to import.
    tokenizer = byte_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A:0", pair="$A:0 $B:1")
    tokenizer.save(str(folder / "tokenizer.json"))
    facts = {
        "backend": "tokenizers",
        "eos_token": SPECIAL_TOKENS[0],
        "extra_special_tokens": list(SPECIAL_TOKENS[1:]),
        "pad_token": SPECIAL_TOKENS[0],
        "tokenizer_class": "TokenizersBackend",
    }
    text = json.dumps(facts, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def byte_tokenizer() -> Tokenizer:
    """A token for each byte, and Qwen2-VL's special ones."""
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE(vocab={byte: n for n, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def _places() -> Iterator[Path]:
    yield from (Path(entry) / FOLDER for entry in sys.path)
    yield from (above / "shared" / FOLDER for above in (_ROOT, _ROOT.parent))


def _is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _FILES)
