"""The ``--compression`` option: a few words, separated with commas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from vdr_integrations.index import Compression

__all__ = ["COMPRESSION_HELP", "compression_words", "parse_compression"]

COMPRESSION_HELP = (
    "Format of token vectors: float16 (the default), float32 or int8; and pool2 to pool8 (that "
    "many visual tokens become one). Separate words with commas."
)
_POOL = re.compile(r"pool([2-8])", re.ASCII)


def parse_compression(text: str) -> Compression:
    """The compression that words stand for.

    Raises:
        OptionError: An unknown word, or two words that exclude each other.
    """
    from vdr_integrations.index import Compression
    from vdr_integrations.index.compression import VectorFormat

    chosen: dict[str, Any] = {}
    for word in (part.strip() for part in text.split(",")):
        if word in get_args(VectorFormat):
            name, value = "vectors", word
        elif (pool := _POOL.fullmatch(word)) is not None:
            name, value = "token_pooling", int(pool[1])
        else:
            raise OptionError(f"--compression does not know {word!r}. {COMPRESSION_HELP}")
        if name in chosen:
            raise OptionError(
                f"--compression {text}: {word} and an earlier word exclude each other; choose one."
            )
        chosen[name] = value
    return Compression(**chosen)


def compression_words(compression: Compression) -> str:
    """The words that stand for a compression."""
    words = [compression.vectors]
    if compression.token_pooling > 1:
        words.append(f"pool{compression.token_pooling}")
    return ",".join(words)
