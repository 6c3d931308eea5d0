from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdr_integrations.errors import OptionError
from vdr_integrations.types import PageRef

DIGITS = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(DIGITS)
def test_a_reference_is_read_back_from_its_text(digits: str) -> None:
    ref = PageRef(digits)
    assert str(ref) == f"vdr-page:{digits}"
    assert PageRef.parse(str(ref)) == ref


@given(DIGITS, st.text(min_size=1), st.booleans())
def test_a_text_that_only_holds_a_reference_is_text(digits: str, more: str, before: bool) -> None:  # noqa: FBT001  # hypothesis draws it
    ref = f"vdr-page:{digits}"
    assert PageRef.parse(more + ref if before else ref + more) is None


@given(st.text(alphabet="0123456789abcdefABCDEFg/.\n\x00٣", min_size=0, max_size=70))
def test_only_sixty_four_lower_case_digits_are_a_hash(digits: str) -> None:
    is_hash = len(digits) == 64 and set(digits) <= set("0123456789abcdef")
    assert (PageRef.parse(f"vdr-page:{digits}") is not None) == is_hash
    if not is_hash:
        with pytest.raises(OptionError, match=f"found {len(digits)} characters"):
            PageRef(digits)
