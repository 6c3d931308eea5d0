"""Check callers' texts before native code reads them: UTF-8 must be able to represent them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_text", "check_texts"]


def check_text(text: object, *, subject: str) -> None:
    r"""Refuse a text that no tokenizer accepts.

    A Python string may have halves of surrogate pairs: ``"\ud83d"``, from an incomplete JSON escape
    or from bytes that were not UTF-8. Two halves that make a pair are two such characters too.

    Args:
        text: Text from the caller.
        subject: Name of the text in the error; the text itself is never repeated.

    Raises:
        OptionError: It is not a string, or it has half a surrogate pair.
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
    """Check each text and return them as a list.

    Raises:
        OptionError: As :func:`check_text`; the message says which text is wrong.
    """
    found = list(texts)
    for place, text in enumerate(found):
        check_text(text, subject="the text" if len(found) == 1 else f"texts[{place}]")
    return found
