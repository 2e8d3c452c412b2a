"""Intervals on ratios."""

import math

import pytest
from scipy import stats

from archsearch.studies.intervals import log_ratios, ratio_interval


def test_limits_are_those_of_students_t_test():
    logs = [0.01, -0.02, 0.03, 0.0, 0.015]
    interval = ratio_interval(logs, 0.025, 0.025)
    expected = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    assert math.log(interval.low) == pytest.approx(expected.low)
    assert math.log(interval.high) == pytest.approx(expected.high)
    assert math.log(interval.estimate) == pytest.approx(sum(logs) / 5)


def test_each_limit_has_its_own_error():
    logs = [0.01, -0.02, 0.03]
    assert ratio_interval(logs, 0.025, 0.001).low == ratio_interval(logs, 0.025, 0.025).low
    assert ratio_interval(logs, 0.025, 0.001).high > ratio_interval(logs, 0.025, 0.025).high


def test_equal_pairs_give_a_point():
    interval = ratio_interval([0.0, 0.0, 0.0], 0.01, 0.01)
    assert (interval.low, interval.estimate, interval.high) == (1.0, 1.0, 1.0)


def test_pairs_are_divided_one_by_one():
    assert log_ratios([2.0, 1.0], [1.0, 2.0]) == pytest.approx((math.log(2), -math.log(2)))


@pytest.mark.parametrize("missing", [None, 0.0, -1.0])
def test_a_missing_value_on_either_side_leaves_nothing_to_compare(missing):
    assert log_ratios([1.0, missing], [1.0, 1.0]) is None
    assert log_ratios([1.0, 1.0], [1.0, missing]) is None
