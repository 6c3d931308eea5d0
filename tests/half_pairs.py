"""Texts that Python holds and no tokenizer takes."""

from __future__ import annotations

HALF_PAIRS = {
    "first half": "what \ud83d is",
    "second half": "what \ude00 is",
    "alone": "\ud83d",
    "two halves": "what \ud83d\ude00 is",
    "in the wrong order": "what \ude00\ud83d is",
    "of bytes": b"caf\xe9".decode("utf-8", "surrogateescape"),
    "at the end": "x" * 5000 + "\udfff",
}
"""By what is wrong with them."""

REFUSED = r"has half a surrogate pair at its character \d+, counted from 0"
