"""Which way is better, and what follows for ratios, records and recipes."""

import pytest

from archsearch.errors import FileFormatError
from archsearch.trials.metric import ACCURACY, LEAST_ERROR, METRICS, MSE, NLL
from archsearch.trials.trial import Recipe, TrialResult


def test_a_ratio_of_qualities_is_above_one_for_the_better_cell():
    assert ACCURACY.quality(0.6) / ACCURACY.quality(0.5) == pytest.approx(1.2)
    assert NLL.quality(3.0) / NLL.quality(3.6) == pytest.approx(1.2)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("value", [1e-9, 0.1, 1 / 3, 3.412345678901234, 812.0])
def test_values_come_back_from_qualities(name, value):
    metric = METRICS[name]
    assert metric.value(metric.quality(value)) == pytest.approx(value, rel=1e-14)


def test_an_error_of_zero_is_a_finite_quality():
    assert MSE.quality(0.0) == 1 / LEAST_ERROR


def test_accuracy_is_its_own_quality():
    assert ACCURACY.quality(0.1 + 0.2) == 0.1 + 0.2


def test_records_of_before_there_were_metrics_are_read():
    """Journals written by 0.1 hold `accuracy`."""
    record = TrialResult("ok", 0.25, ((4, 1.5, 0.25),), 4).to_record()
    old = {name: value for name, value in record.items() if name not in ("value", "metric")} | {"accuracy": 0.25}
    assert TrialResult.from_record(old) == TrialResult("ok", 0.25, ((4, 1.5, 0.25),), 4)


def test_an_unknown_metric_is_refused():
    with pytest.raises(FileFormatError, match="metric 'beauty' is none of accuracy, nll"):
        TrialResult.from_record(TrialResult("ok", 0.25).to_record() | {"metric": "beauty"})


def test_recipes_keep_the_identity_they_had():
    """Digest and text as archsearch 0.1 gave them: trial keys and runs of before stay the same."""
    assert Recipe().digest == "5ee5f83ecb00944f"
    assert repr(Recipe()) == "Recipe(batch_size=20, unroll=35, patience=3, num_halvings=4, precision='float32')"
    assert Recipe(dropout=0.1).digest != Recipe().digest
    assert "dropout=0.1" in repr(Recipe(dropout=0.1))
