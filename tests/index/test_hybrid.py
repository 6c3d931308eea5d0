"""Which weights a hybrid search takes."""

from __future__ import annotations

import math
from typing import Any

import pytest

from vdr_integrations.errors import OptionError
from vdr_integrations.index import Hybrid


@pytest.mark.parametrize("name", ["text_weight", "picture_weight"])
@pytest.mark.parametrize("weight", [0, -1, True, "1", None, math.nan, math.inf, 1e308, 10**400])
def test_a_weight_that_cannot_be_added_up_is_refused(name: str, weight: Any) -> None:
    with pytest.raises(OptionError, match=f"{name} of a hybrid search must be a number above 0"):
        Hybrid(**{name: weight})
