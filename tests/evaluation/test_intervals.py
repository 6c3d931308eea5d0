"""Means with bootstrap intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vdr_integrations.evaluation import mean_with_interval


def test_an_interval_is_about_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.2, 400)
    found = mean_with_interval(values)
    error = 1.96 * values.std() / math.sqrt(len(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - error, abs=error / 10)
    assert found.high == pytest.approx(values.mean() + error, abs=error / 10)
    assert found.questions == 400


def test_the_same_values_give_the_same_interval() -> None:
    values = np.random.default_rng(1).random(50)
    assert mean_with_interval(values) == mean_with_interval(values)


def test_equal_values_have_no_interval_and_no_values_no_mean() -> None:
    assert mean_with_interval(np.full(9, 0.25))[:3] == (0.25, 0.25, 0.25)
    nothing = mean_with_interval(np.zeros(0))
    assert math.isnan(nothing.mean)
    assert nothing.to_dict() == {"mean": None, "low": None, "high": None, "questions": 0}
