"""Texts of callers before native code sees them: whole characters alone, which UTF-8 can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_text", "check_texts"]


def check_text(text: object, *, subject: str) -> None:
    r"""Refuse what no tokenizer takes.

    Python strings may hold halves of surrogate pairs: ``"\ud83d"``, of a JSON escape that was cut
    or of bytes that were no UTF-8. Two halves that make a pair are two such characters too.

    Args:
        text: Of the caller.
        subject: What the error calls it; the text itself is never repeated.

    Raises:
        OptionError: No string, or one with half a surrogate pair.
    """
    if not isinstance(text, str):
        raise OptionError(f"{subject} must be a string, found {type(text).__name__}.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise OptionError(
            f"{subject} has half a surrogate pair at its character {error.start}, counted from 0; "
            f"it must be UTF-8 text. To repair it, text.encode('utf-16', 'surrogatepass')"
            f".decode('utf-16', 'replace') joins halves of one pair and puts U+FFFD for others."
        ) from None


def check_texts(texts: Iterable[str]) -> list[str]:
    """The texts as a list, each one checked.

    Raises:
        OptionError: As :func:`check_text`; it says which.
    """
    found = list(texts)
    for place, text in enumerate(found):
        check_text(text, subject="the text" if len(found) == 1 else f"texts[{place}]")
    return found
