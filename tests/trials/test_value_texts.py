"""Numbers as people read them: small errors keep their digits, and what is not 1 does not read as 1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.trials.value_texts import interval_text, ratio_text, value_text


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.500"), (0.01, "0.010"), (0.00031, "0.000310"), (4.2e-7, "4.20e-07"), (0.0, "0.000")]
)
def test_small_values_keep_three_digits(value, text):
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(1.0, "1.000"), (0.9996, "0.9996"), (1.00004, "1.00004"), (0.994, "0.994"), (1.0007, "1.001")]
)
def test_near_one_there_are_as_many_digits_as_tell_it_from_one(ratio, text):
    assert ratio_text(ratio) == text


@given(st.floats(1e-6, 1e6))
def test_what_is_not_one_does_not_read_as_one(ratio):
    assert (float(ratio_text(ratio)) == 1) == (abs(ratio - 1) <= 5.0001e-10)


def test_limits_stand_behind_the_estimate():
    assert interval_text(0.99, 1.012, 1.0341) == "1.012 (0.990 to 1.034)"
    assert interval_text(1.0002, 1.012, 1.0341, between="-") == "1.012 (1.0002-1.034)"
