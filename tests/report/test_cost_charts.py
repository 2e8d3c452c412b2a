"""Fitness against cost: dots where they belong, the front, and nothing where no cost is known."""

import re

import pytest
from shared_reported_runs import EVIL

from archsearch.report.cost_charts import Priced, cost_chart

CELLS = [
    Priced("c_1", "gru", 1.0, 2.0),
    Priced("c_2", "", 1.2, 3.0),
    Priced("c_3", "", 0.9, 2.5),
    Priced("c_4", "", 0.8, 1.0),
    Priced("c_5", "", 2.0, None),
]


def test_the_front_joins_what_nothing_beats():
    chart = cost_chart(CELLS, "time", "ms", 1)
    assert re.findall(r'class="(dot[^"]*)"', chart) == ["dot founder", "dot on-front", "dot", "dot on-front"]
    (front,) = re.findall(r'class="line front" d="([^"]+)"', chart)
    assert front.count("H") == 2
    assert "gru: 2.0 ms, fitness 1.000" in chart


def test_a_cell_without_a_cost_is_left_out_and_beats_none():
    chart = cost_chart(CELLS, "time", "ms")
    assert "c_5" not in chart
    assert 'href="#c_2"' in chart


def test_a_cell_of_which_the_page_has_no_part_leads_nowhere():
    chart = cost_chart([Priced("c_1", "tanh", 1.0, 2.0, is_listed=False), *CELLS[1:3]], "time", "ms")
    assert re.findall(r'href="#(\w+)"', chart) == ["c_2", "c_3"]
    assert chart.count("<circle") == 3


def test_nothing_known_nothing_drawn():
    assert cost_chart([], "time", "ms") == ""
    assert cost_chart([Priced("c_1", "", 1.0, None)], "time", "ms") == ""


def test_limits_are_drawn_within_the_chart():
    chart = cost_chart([Priced("c_1", EVIL, 1.0, 2.0, (0.2, 1.9))], "time", "ms")
    (low, high) = re.findall(r'line whisker" d="M[\d.]+ ([\d.]+)L[\d.]+ ([\d.]+)"', chart)[0]
    assert 10 <= float(high) < float(low) <= 222
    assert "<script" not in chart


def test_equal_costs_have_an_axis_too():
    chart = cost_chart([Priced("c_1", "", 1.0, 2.0), Priced("c_2", "", 1.0, 2.0)], "time", "ms")
    assert chart.count("<circle") == 2


@pytest.mark.parametrize("text", ["", EVIL])
def test_texts_are_escaped(text):
    assert "<script" not in cost_chart([Priced("c_1", text, 1.0, 2.0)], f"time {text}", text)
