"""The string that stands for a stored page image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from vdr_integrations.errors import OptionError

__all__ = ["PageRef"]

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class PageRef:
    """``vdr-page:<sha256>``: the image of a page, named by its content.

    LlamaIndex and LangChain pass only strings to an embedder; with this string their own indexes
    can embed images. A string counts as a reference only if the whole string is one; text with a
    reference in it is text.

    Attributes:
        sha256: 64 lower-case hexadecimal digits, see ``PageImage.sha256``.

    Example:
        >>> from PIL import Image
        >>> from vdr_integrations import PageImage
        >>> text = str(PageImage(Image.new("RGB", (28, 28))).ref)
        >>> text[:17]
        'vdr-page:49cd62ad'
        >>> PageRef.parse(text) is None
        False
        >>> PageRef.parse(f"see {text}") is None
        True
    """

    SCHEME: ClassVar[str] = "vdr-page:"

    sha256: str

    def __post_init__(self) -> None:
        """Refuse anything that is not a SHA-256."""
        if _SHA256.fullmatch(self.sha256) is None:
            raise OptionError(
                f"a page reference needs 64 lower-case hexadecimal digits, "
                f"found {len(self.sha256)} characters."
            )

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read ``text`` as a reference; None if it is any other text."""
        if not text.startswith(cls.SCHEME):
            return None
        digits = text[len(cls.SCHEME) :]
        return cls(digits) if _SHA256.fullmatch(digits) else None

    def __str__(self) -> str:
        """``vdr-page:<sha256>``."""
        return f"{self.SCHEME}{self.sha256}"
