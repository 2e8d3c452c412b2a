"""Chance and the simple predictors of tasks whose data are files, recomputed from the files, slowly and obviously."""

import collections
import csv
import json
import math

import numpy as np
import pytest
from scipy.io import loadmat
from shared_slow_ngrams import slow_ngram_accuracy, slow_ngram_nll

from archsearch.tasks.labelled import Labelled
from archsearch.tasks.music import Music
from archsearch.tasks.penn_treebank import PennTreebank
from archsearch.tasks.series import Series
from archsearch.tasks.text import Text
from archsearch.trials.problems import split_of
from archsearch.trials.task import Batch


def one_stream(units: list[str], numbers: dict[str, int]) -> list[Batch]:
    """A text as one long batch; what has no number has the next one."""
    array = np.array([numbers.get(unit, len(numbers)) for unit in units])[:, None]
    return [Batch(array[:-1], array[1:], np.ones(array[1:].shape, np.bool_), starts=True)]


@pytest.fixture(params=["characters", "words"])
def parts_of_text(request, text_file):
    """A text's unit, and the units of its training, validation and test parts."""
    text = text_file.read_text("utf-8")
    place = len(text) - len(text) // 12
    text = text[:place] + "zz" + text[place:]  # in the validation part only
    text_file.write_text(text, "utf-8")
    units = list(text) if request.param == "characters" else text.replace("\n", " <eos> ").split()
    held_out = len(units) // 20
    training, validation, test = np.split(np.array(units), [len(units) - 2 * held_out, len(units) - held_out])
    assert not set(validation) <= set(training)
    return request.param, training.tolist(), validation.tolist(), test.tolist()


@pytest.mark.parametrize("measures", ["nll", "bits", "perplexity", "accuracy"])
def test_chance_of_a_text_is_its_best_ngram(measures, parts_of_text, text_file):
    unit, training, validation, _ = parts_of_text
    counts = collections.Counter(training)
    # the commonest first, as of symbols that came equally often after others the first wins
    numbers = {unit: number for number, unit in enumerate(sorted(counts, key=lambda unit: (-counts[unit], unit)))}
    streams = one_stream(training, numbers), one_stream(validation, numbers)
    order = {"characters": 6, "words": 3}[unit]
    nats = slow_ngram_nll(*streams, len(numbers) + 1, order)
    expected = {"nll": nats, "bits": nats / math.log(2), "perplexity": math.exp(nats)}
    expected["accuracy"] = slow_ngram_accuracy(*streams, order)
    task = Text("text", path=str(text_file), unit=unit, measures=measures)
    assert task.chance() == pytest.approx(expected[measures], abs=1e-9)


def test_chance_of_penn_treebank_in_perplexity_is_its_best_ngram(treebank_folder):
    task = PennTreebank("penn_treebank", path=str(treebank_folder), measures="perplexity")
    batches = task.training(0, 20, 1)
    training = [next(batches) for _ in range(task.epoch_steps(20, 1))]
    held_out = list(task.held_out("validation", 20, 35))
    expected = math.exp(slow_ngram_nll(training, held_out, len(task.symbols)))
    assert task.chance() == pytest.approx(expected, abs=1e-9)


# series


def slow_forecasts(path, columns: list[str], window: int, horizon: int, guess) -> list[float]:
    """The errors, in standard deviations, of each value of each validation forecast without a missing value.

    Args:
        path: A CSV file whose first row has no gap.
        columns: The targets.
        window: Rows read.
        horizon: Rows forecast.
        guess: What is said of a column's row, given the last row read and all that is known, filled up.
    """
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    num_held_out = int(0.15 * len(rows))
    gap = window + horizon
    last = len(rows) - num_held_out - gap  # the first row after the validation part
    first = last - num_held_out
    filled = {column: [] for column in columns}
    for column in columns:
        for row in rows:
            filled[column].append(float(row[column]) if row[column] else filled[column][-1])
        learned = np.array(filled[column][: first - gap])
        filled[column] = [(value - learned.mean()) / learned.std() for value in filled[column]]
    errors = []
    for now in range(first + window - 1, last - horizon):
        asked = range(now + 1, now + horizon + 1)
        if all(rows[row][column] for row in asked for column in columns):
            errors += [filled[column][row] - guess(filled[column], now, row) for row in asked for column in columns]
    return errors


def season_before(season: int):
    def guess(values: list[float], now: int, row: int) -> float:
        while row > now:
            row -= season
        return values[row]

    return guess


SIMPLE = {
    "persistence": season_before(1),
    "training mean": lambda _values, _now, _row: 0.0,
    "seasonal naive": None,
}


@pytest.mark.parametrize(("season", "horizon"), [(12, 1), (5, 5), (3, 7), (1, 2)])
@pytest.mark.parametrize("measures", ["mse", "mae"])
def test_simple_forecasts_score_what_is_said_of_them(season, horizon, measures, series_file):
    """Also where a season is shorter than the horizon, and where values are missing."""
    lines = series_file.read_text("utf-8").splitlines()
    for row in (100, 480, 481, 520):  # of training and validation
        time, _, ahead = lines[1 + row].split(",")
        lines[1 + row] = f"{time},,{ahead}"
    series_file.write_text("\n".join(lines) + "\n", "utf-8")
    columns = ["wave", "ahead"]
    task = Series(
        "series", path=str(series_file), targets=columns, window=12, horizon=horizon, season=season, measures=measures
    )
    simple = task.baselines()
    assert set(simple) == set(SIMPLE)
    assert task.chance() == simple["persistence"]
    for name, guess in SIMPLE.items():
        errors = slow_forecasts(series_file, columns, 12, horizon, guess or season_before(season))
        assert len(errors) > 50
        expected = np.mean([error**2 if measures == "mse" else abs(error) for error in errors])
        assert simple[name] == pytest.approx(expected, rel=1e-5), name  # the task's numbers are float32


# labelled


@pytest.mark.parametrize("per_step", [False, True])
def test_chance_of_labels_is_the_commonest_of_training(per_step, labelled_file):
    lines = [json.loads(line) for line in labelled_file.read_text("utf-8").splitlines()]
    if per_step:
        lines = [
            {**line, "label": ["vowel" if unit == "a" else "other" for unit in line["sequence"]]} for line in lines
        ]
        labelled_file.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    labels = {"training": [], "validation": [], "test": []}
    for line in lines:
        split = split_of(json.dumps(list(line["sequence"])).encode())
        labels[split] += line["label"] if per_step else [line["label"]]
    ((commonest, _),) = collections.Counter(labels["training"]).most_common(1)
    task = Labelled("labelled", path=str(labelled_file))
    expected = labels["validation"].count(commonest) / len(labels["validation"])
    assert 0.3 < expected < 1
    assert task.baselines() == {"commonest label": pytest.approx(expected)}
    assert task.chance() == pytest.approx(expected)


# music


def test_chance_of_music_is_how_often_each_key_sounds(music_folder):
    content = loadmat(music_folder / "Nottingham.mat")
    training, validation = (
        [step for piece in content[key].ravel() for step in piece.tolist()] for key in ("traindata", "validdata")
    )
    nats = []
    for step in validation:
        nats.append(0.0)
        for key in range(88):
            frequency = (sum(other[key] for other in training) + 0.5) / (len(training) + 1)
            nats[-1] -= math.log(frequency if step[key] else 1 - frequency)
    task = Music("music", path=str(music_folder))
    assert task.chance() == pytest.approx(sum(nats) / len(nats), rel=1e-6)
    silent = [88 * math.log(2) for _ in validation]
    expected = {"frequency of each key": task.chance(), "even odds": pytest.approx(sum(silent) / len(silent))}
    assert task.baselines() == expected
