"""Which indexes can be one: those whose scores can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import IndexMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.index.engine import Engine
    from vdr_integrations.index.index_settings import Correction, Settings
    from vdr_integrations.index.manifest import Manifest

__all__ = ["check_together"]


def check_together(engines: Sequence[Engine]) -> None:
    """Refuse indexes that cannot be searched together; at least one.

    Raises:
        IndexMismatchError: Two have other encoders, question banks or compressions, or are one and
            the same, or a copy.
    """
    first = engines[0]
    for other in engines[1:]:
        for mine, theirs in _differences(first.settings, other.settings):
            raise IndexMismatchError(
                f"index {first.path} {mine}, and index {other.path} {theirs}: their scores cannot "
                f"be compared. Search them one by one, or index the documents of one of them again "
                f"as the other was made, into a new place."
            )
    known: dict[str, Engine] = {}
    for engine in engines:
        same = known.get(engine.index_id)
        if same is not None:
            raise IndexMismatchError(
                f"{same.path} and {engine.path} are the same index, or copies of one, so each page "
                f"would be found twice; name only one of them."
            )
        known[engine.index_id] = engine


def _differences(mine: Settings, theirs: Settings) -> list[tuple[str, str]]:
    """What tells two indexes apart, in words for each."""
    found: list[tuple[str, str]] = []
    if _fingerprint(mine.tokens) != _fingerprint(theirs.tokens):
        found.append((_tokens_in_words(mine), _tokens_in_words(theirs)))
    elif _fingerprint(mine.dense) != _fingerprint(theirs.dense):
        found.append((_dense_in_words(mine.dense), _dense_in_words(theirs.dense)))
    if mine.correction != theirs.correction:
        found.append((_bank_in_words(mine.correction), _bank_in_words(theirs.correction)))
    if mine.compression != theirs.compression:
        found.append((f"keeps {mine.compression}", f"{theirs.compression}"))
    return found


def _fingerprint(manifest: Manifest | None) -> str | None:
    return None if manifest is None else manifest.fingerprint


def _tokens_in_words(settings: Settings) -> str:
    if settings.tokens is None:
        return f"keeps one vector a page, made by {settings.dense}"
    return f"keeps one vector a token, made by {settings.tokens}"


def _dense_in_words(dense: Manifest | None) -> str:
    return "keeps no dense vectors" if dense is None else f"keeps dense vectors, made by {dense}"


def _bank_in_words(correction: Correction | None) -> str:
    if correction is None:
        return "has no question bank"
    return (
        f"has a question bank of {correction.tokens} tokens, strength {correction.strength:g}, "
        f"digest {correction.digest[:12]}"
    )
