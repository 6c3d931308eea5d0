"""A checkpoint's tokenizer, from its own files or from those of older tokenizers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

from vdr_integrations.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFolder

__all__ = [
    "ADDED_TOKENS",
    "OLDER_TOKENIZER",
    "SPECIAL_TOKENS",
    "TOKENIZER",
    "TOKENIZER_CONFIG",
    "read_tokenizer",
]

TOKENIZER_CONFIG = "tokenizer_config.json"
TOKENIZER = "tokenizer.json"
OLDER_TOKENIZER = ("vocab.json", "merges.txt")
"""The files of a tokenizer without tokenizer.json."""
ADDED_TOKENS = "added_tokens.json"
SPECIAL_TOKENS = "special_tokens_map.json"

_NAMED = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)
_LISTED = ("extra_special_tokens", "additional_special_tokens")
_DECODER = "added_tokens_decoder"

# Qwen2's, for folders that have only its words and merges.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = ("Qwen2Tokenizer", "Qwen2TokenizerFast", None)
"""Classes of such tokenizers; that of Qwen2-VL if none is named."""


def read_tokenizer(folder: CheckpointFolder) -> Tokenizer:
    """Read a tokenizer that gives the same ids as transformers' fast one.

    Tokens that only ``tokenizer_config.json`` or the files of older tokenizers name are added.

    Raises:
        CheckpointError: There is no tokenizer, or an added token would get another id than the
            checkpoint's files say.
    """
    path = folder.optional(TOKENIZER)
    tokenizer = _of_older_files(folder) if path is None else Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    config = folder.facts(TOKENIZER_CONFIG)
    if _DECODER not in config:  # else transformers does not read these
        config |= folder.facts(SPECIAL_TOKENS)
    special = list(_special_tokens(config))
    numbered = _numbered_tokens(folder, config, {token.content for token in special})
    for index, token in sorted(numbered.items()):
        tokenizer.add_tokens([token])
        if (found := tokenizer.token_to_id(token.content)) != index:
            raise CheckpointError(
                f"{folder.files.model}: its files give the token {token.content!r} the id {index}, "
                f"and the tokenizer gives it {found}. Download the checkpoint again."
            )
    added = tokenizer.get_added_tokens_decoder().values()
    known = {token.content for token in added if token.special}
    tokenizer.add_tokens([token for token in special if token.content not in known])
    return tokenizer


def _numbered_tokens(
    folder: CheckpointFolder, config: dict[str, Any], special: set[str]
) -> dict[int, AddedToken]:
    if _DECODER in config:
        facts: dict[str, dict[str, Any]] = config[_DECODER]
        tokens = {int(index): AddedToken(**one) for index, one in facts.items()}
        for token in tokens.values():
            token.special = token.special or token.content in special
        return tokens
    return {
        index: AddedToken(content, normalized=content not in special, special=content in special)
        for content, index in folder.facts(ADDED_TOKENS).items()
    }


def _special_tokens(config: dict[str, Any]) -> Iterator[AddedToken]:
    """Tokens that are named, then those that are listed; in the order in which they get ids."""
    listed = next((config[name] for name in _LISTED if config.get(name)), [])
    if isinstance(listed, dict):
        listed = [*listed.values()]
    own = [name for name in config if name.endswith("_token") and name not in _NAMED]
    named = [config[name] for name in (*_NAMED, *own) if config.get(name)]
    for one in (*named, *listed):
        if isinstance(one, dict):
            facts = {
                name: value for name, value in one.items() if name not in {"__type", "special"}
            }
            yield AddedToken(**facts, special=True)
        elif isinstance(one, str):
            yield AddedToken(one, special=True)


def _of_older_files(folder: CheckpointFolder) -> Tokenizer:
    words, merges = (folder.optional(name) for name in OLDER_TOKENIZER)
    kind = folder.facts(TOKENIZER_CONFIG).get("tokenizer_class")
    if words is None or merges is None or kind not in _QWEN2:
        raise CheckpointError(
            f"{folder.files.model} has no {TOKENIZER}, and no {' and '.join(OLDER_TOKENIZER)} of a "
            f"{_QWEN2[0]}. Download the checkpoint again, or save its tokenizer with transformers."
        )
    tokenizer = Tokenizer(BPE.from_file(str(words), str(merges)))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
