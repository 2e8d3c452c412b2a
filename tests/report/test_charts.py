"""Axes and charts: everything has its place."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.report.axes import Axis
from archsearch.report.charts import Chart, Dot, Line
from archsearch.report.curves import thinned

NUMBERS = st.floats(-1e7, 1e7, allow_nan=False)


@given(st.lists(NUMBERS, max_size=20), st.booleans())
def test_all_values_have_their_place_and_ticks_are_few_and_told_apart(values, from_zero):
    axis = Axis.around("size", values, from_zero=from_zero)
    assert all(0 <= axis.share(value) <= 1 for value in values)
    assert all(axis.low <= tick <= axis.high + 1e-9 * abs(axis.high) for tick in axis.ticks)
    assert 1 <= len(axis.ticks) <= 7
    if max(map(abs, (axis.low, axis.high))) < 10_000:
        texts = [axis.text(tick) for tick in axis.ticks]
        assert len(set(texts)) == len(texts)


def test_ticks_are_round():
    assert Axis("fitness", 0.71, 1.02).ticks == pytest.approx((0.8, 0.9, 1.0))
    axis = Axis("minutes", 0, 11)
    assert [axis.text(tick) for tick in axis.ticks] == ["0.0", "2.5", "5.0", "7.5", "10.0"]
    assert [Axis("parameters", 0, 160_000).text(tick) for tick in (50_000, 100_000)] == ["50k", "100k"]
    assert Axis("change", -0.02, 0.02).text(-0.01) == "\N{MINUS SIGN}0.01"


def test_values_that_are_no_numbers_do_not_spoil_an_axis():
    assert Axis.around("loss", [1.0, float("nan"), float("inf"), 2.0]).high < 2.1


def test_lines_and_dots_are_where_their_values_are():
    axes = Axis("x", 0.0, 10.0), Axis("y", 0.0, 1.0)
    chart = Chart("title", *axes, [Line([(0, 0), (10, 1)], "a", "this")], [Dot(5, 0.5, "b")], width=160, height=148)
    picture = chart.to_svg()
    (path,) = re.findall(r'class="line this" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', picture)
    left, bottom, right, top = map(float, path)
    (dot,) = re.findall(r'class="dot" cx="([\d.]+)" cy="([\d.]+)"', picture)
    assert left < right
    assert top < bottom
    assert tuple(map(float, dot)) == pytest.approx(((left + right) / 2, (top + bottom) / 2), abs=0.1)


def test_a_stepped_line_holds_its_value_until_the_next():
    chart = Chart("t", Axis("x", 0, 4), Axis("y", 0, 1), [Line([(1, 0.2), (3, 0.8)], "best", "this", is_stepped=True)])
    (drawn,) = re.findall(r'line this" d="([^"]+)"', chart.to_svg())
    assert re.fullmatch(r"M[\d.]+ [\d.]+H[\d.]+V[\d.]+", drawn)


def test_texts_beside_dots_do_not_lie_on_each_other():
    dots = [Dot(0, value, str(value), text=f"cell{n}") for n, value in enumerate((0.5, 0.51, 0.49, 0.9))]
    dots.append(Dot(10, 0.5, "far", text="far"))
    picture = Chart("t", Axis("x", 0, 10), Axis("y", 0, 1), dots=dots).to_svg()
    heights = {name: float(y) for y, name in re.findall(r'<text class="beside[^>]* y="([\d.]+)">(\w+)', picture)}
    near = sorted(heights[f"cell{n}"] for n in range(4))
    assert all(below - above >= 11.9 for above, below in pairwise(near))
    assert heights["cell1"] < heights["cell0"] < heights["cell2"], "in the order of their dots"
    strokes = [tuple(map(float, each)) for each in re.findall(r'leader" d="M[\d.]+ ([\d.]+)L[\d.]+ ([\d.]+)"', picture)]
    assert strokes, "what is moved away from its dot is joined to it"
    assert all(any(abs(end + 5 - height) < 0.2 for height in heights.values()) for _, end in strokes)
    assert heights["far"] == pytest.approx(10 + 0.5 * 212 - 5, abs=0.1), "where its dot is"


def boxes(picture):
    """Returns, by text, where it lies: its left and right end and its line."""
    found = {}
    for kind, x, y, text in re.findall(r'<text class="beside([^"]*)" x="([\d.]+)" y="([\d.]+)">(\w+)', picture):
        width = 6 * len(text)
        left = float(x) - {"": 0, " end": width, " middle": width / 2}[kind]
        found[text] = left, left + width, float(y)
    return found


def test_texts_beside_dots_lie_on_no_dot_and_within_the_chart():
    dots = [
        Dot(0.5, 0.5, "", text="lstm_b"),
        Dot(0.6, 0.52, ""),
        Dot(0.9, 0.5, "", text="gru_torch"),
        Dot(0.84, 0.52, ""),
    ]
    picture = Chart("t", Axis("x", 0, 1), Axis("y", 0, 1), dots=dots).to_svg()
    circles = [tuple(map(float, pair)) for pair in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', picture)]
    places = boxes(picture)
    assert set(places) == {"lstm_b", "gru_torch"}
    for left, right, y in places.values():
        assert 46 <= left < right <= 440
        assert not [(cx, cy) for cx, cy in circles if left - 4 < cx < right + 4 and y - 13 < cy < y + 5]


def test_texts_are_escaped():
    evil = "<b>\"'&"
    axes = Axis(evil, 0, 1), Axis(evil, 0, 1)
    picture = Chart(evil, *axes, [Line([(0, 0)], evil, "this")], [Dot(0, 0, evil, target=evil, text=evil)]).to_svg()
    assert "<b>" not in picture
    assert picture.count("&lt;b&gt;") == 8


@given(st.integers(0, 500), st.integers(2, 60))
def test_thinning_keeps_both_ends(count, most):
    points = [(float(number), 0.0) for number in range(count)]
    kept = thinned(points, most)
    assert len(kept) == min(count, most)
    assert kept == sorted(set(kept))
    assert kept[:1] == points[:1]
    assert kept[-1:] == points[-1:]
