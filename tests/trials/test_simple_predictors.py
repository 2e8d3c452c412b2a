"""Who loses to a predictor that is no network, in both directions of a metric."""

import pytest

from archsearch.errors import FileFormatError
from archsearch.run.folder import RunFolder
from archsearch.run.simple_predictors_file import keep_simple_predictors, read_simple_predictors
from archsearch.tasks.series import Series
from archsearch.tasks.xml import Xml
from archsearch.trials.simple_predictors import SimplePredictors

ERRORS = SimplePredictors("mse", False, {"persistence": 0.4, "seasonal naive": 0.1})
SHARES = SimplePredictors("accuracy", True, {"commonest label": 0.5})


@pytest.mark.parametrize(
    ("simple", "value", "names"),
    [
        (ERRORS, 0.05, []),
        (ERRORS, 0.1, []),
        (ERRORS, 0.2, ["seasonal naive"]),
        (ERRORS, 0.5, ["persistence", "seasonal naive"]),
        (SHARES, 0.6, []),
        (SHARES, 0.4, ["commonest label"]),
    ],
)
def test_who_is_better(simple, value, names):
    assert simple.better_than(value) == names
    assert all(name in simple.warning(value) for name in names)
    assert bool(simple.warning(value)) == bool(names)


def test_small_errors_are_told_apart():
    assert str(SimplePredictors("mse", False, {"a": 0.000031, "b": 0.1169})) == "a 3.100e-05, b 0.1169"


def test_who_is_as_good():
    assert ERRORS.at_least_as_good_as(0.1) == ["seasonal naive"]
    assert SHARES.at_least_as_good_as(0.5) == ["commonest label"]
    assert SHARES.at_least_as_good_as(0.6) == []


def test_the_file_has_data_of_ones_own_only(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("wave\n" + "".join(f"{t % 7}\n" for t in range(300)))
    folder = RunFolder(tmp_path)
    keep_simple_predictors(folder, {"xml": Xml("xml")})
    assert read_simple_predictors(folder) == {}
    task = Series("series", path=str(table), window=4, season=2)
    keep_simple_predictors(folder, {"xml": Xml("xml"), "series": task})
    assert read_simple_predictors(folder) == {"series": SimplePredictors.of_task(task)}
    folder.simple_predictors_path.write_text("[1]")
    with pytest.raises(FileFormatError, match=r"simple_predictors\.json: expected what simple predictors reach"):
        read_simple_predictors(folder)
