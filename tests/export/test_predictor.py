"""Trained models read from files: odd ones are refused in words, before anything is built of them."""

import json
import math
from dataclasses import asdict

import pytest
import torch

from archsearch.errors import ConfigError, FileFormatError
from archsearch.export.predictor import load_predictor
from archsearch.export.saved_model import MAX_LAYERS
from archsearch.export.weights import save_weights, texts_of_cell
from archsearch.graph.catalog import load_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.model import SequenceModel
from archsearch.trials.interface import Interface

HIDDEN_SIZE = 4
TEXT = {"kind": "text", "unit": "characters", "lower_case": False, "symbols": ["a", "b", "c"]}
COLUMNS = {"targets": ["wave"], "inputs": ["wind"], "means": [0.0, 1.0], "scales": [1.0, 2.0]}
SERIES = {"kind": "series", "time": None, "window": 3, "horizon": 2, "season": None, **COLUMNS}
INTERFACES = {"text": Interface.of_symbols(3), "series": Interface(0, 2, 2, "squared_error")}


def metadata_of(reader):
    model = {"num_layers": 1, "interface": asdict(INTERFACES[reader["kind"]])}
    quality = {"metric": "bits", "validation_value": "1.25", "test_value": "1.5"}
    texts = {"model": json.dumps(model), "reader": json.dumps(reader), "baselines": json.dumps({"chance": 1.5})}
    return {**texts_of_cell(load_cell("gru")), **quality, **texts}


@pytest.fixture
def save(tmp_path):
    """Returns a function that writes a model, with other texts and tensors where some are given."""

    def write(of=TEXT, tensors=None, **texts):
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(1)
            model = SequenceModel(load_cell("gru"), INTERFACES[of["kind"]], HIDDEN_SIZE)
        state = {**model.state_dict(), **(tensors or {})}
        return save_weights(state, tmp_path / "model.safetensors", {**metadata_of(of), **texts})

    return write


def model_text(num_layers=1, **interface):
    return json.dumps({"num_layers": num_layers, "interface": {**asdict(INTERFACES["text"]), **interface}})


def test_what_was_saved_is_read(save, tmp_path):
    predictor = load_predictor(save())
    assert set(predictor.continue_text("ab", 20)) <= set("abc")
    assert (predictor.quality["metric"], predictor.baselines) == ("bits", {"chance": 1.5})
    (tmp_path / "waves.csv").write_text("wave,wind\n" + "1,2\n" * 3)
    forecast = load_predictor(save(SERIES)).forecast(tmp_path / "waves.csv")
    assert list(forecast.frame["wave (persistence)"]) == [1, 1]
    other = {"kind": "of their own", "anything": [1, {}]}
    with pytest.raises(ConfigError, match="got a model of kind 'of their own'"):
        load_predictor(save(reader=json.dumps(other))).continue_text("ab")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"model": "[]"}, "model: expected names and values, got list"),
        ({"model": "[" * 100_000}, "RecursionError|JSONDecodeError"),
        ({"model": '{"num_layers": 1}'}, "KeyError"),
        ({"model": model_text(num_layers=0)}, "num_layers: expected a whole number from 1"),
        ({"model": model_text(num_layers=True)}, "num_layers: .* got True"),
        ({"model": model_text(num_layers=10**9)}, "num_layers: .* got 1000000000"),
        ({"model": model_text(num_layers=2)}, "weights: expected 243 numbers in all for such a model, got 135"),
        ({"model": model_text(num_symbols=10**9)}, "weights: expected 4,000,000,123 numbers"),
        ({"model": model_text(num_symbols=3.0)}, "num_symbols: expected a whole number of at least 0, got 3.0"),
        ({"model": model_text(input_size=2)}, "interface: expected symbols or numbers to read"),
        ({"model": model_text(output_size=0)}, "interface: expected .* something to predict"),
        ({"model": model_text(loss="hope")}, "loss: expected one of cross_entropy"),
        ({"model": model_text(loss=[])}, "loss: expected one of cross_entropy"),
        ({"graph": "{}"}, "FileFormatError|expected"),
        ({"reader": "[]"}, "reader: expected names and values, got list"),
        ({"reader": '{"kind": []}'}, "kind: expected a text, got list"),
        ({"reader": '{"kind": "text"}'}, "KeyError.*symbols"),
        ({"reader": json.dumps({**TEXT, "symbols": "abc"})}, "symbols: expected a list of texts"),
        ({"reader": json.dumps({**TEXT, "symbols": ["a"]})}, "got 1; the model reads one of 3 symbols"),
        ({"reader": json.dumps({**TEXT, "symbols": list("abcdefgh")})}, "symbols: expected each .* got 8"),
        ({"reader": json.dumps({**TEXT, "symbols": list("aab")})}, "symbols: expected each .* once"),
        ({"reader": json.dumps({**TEXT, "unit": "lines"})}, "expected a unit, one of characters, words"),
        ({"reader": json.dumps({**TEXT, "lower_case": "no"})}, "lower_case, true or false"),
        (
            {"reader": json.dumps(SERIES)},
            "got 2 columns, 1 of them targets, and a horizon of 2; the model reads one of",
        ),
        ({"validation_value": "good"}, "validation_value: expected a number, got 'good'"),
        ({"baselines": "3"}, "baselines: expected names and values, got int"),
        ({"baselines": '{"chance": "low"}'}, "baselines: expected a number for each"),
        ({"baselines": f'{{"chance": 1{"0" * 400}}}'}, "baselines: expected a number for each"),
    ],
)
def test_odd_texts_are_refused(save, texts, message):
    with pytest.raises(FileFormatError, match=f"(?s)expected a model that 'archsearch evaluate.*(?:{message})"):
        load_predictor(save(**texts))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 0}, "window: expected a whole number of at least 1, got 0"),
        ({"horizon": 3}, "a horizon of 3; the model reads 2"),
        ({"season": 4}, "season: expected a whole number from 1 to 3, got 4"),
        ({"time": 5}, "time: expected the name of a column or null"),
        ({"targets": [1]}, "targets: expected a list of texts"),
        ({"inputs": []}, "means: expected a finite number for each of 1 columns"),
        ({"means": [0.0, math.nan]}, "means: expected a finite number"),
        ({"means": [0, 10**400]}, "means: expected a finite number"),
        ({"scales": [0.0, 1.0]}, "scales: expected a finite number"),
        ({"scales": None}, "scales: expected a finite number"),
    ],
)
def test_odd_readers_of_tables_are_refused(save, change, message):
    with pytest.raises(FileFormatError, match=message):
        load_predictor(save({**SERIES, **change}))


@pytest.mark.parametrize(
    "tensors",
    [
        {"readout.weight": torch.zeros(12)},
        {"readout.weight": torch.zeros(3, 0)},
        {"readout.weight": torch.zeros(4, 3)},
        {"embedding.weight": torch.zeros(4, 3)},
        {"more": torch.zeros(2)},
        {"readout.bias": torch.zeros(0), "readout.bios": torch.zeros(3)},
    ],
)
def test_odd_tensors_are_refused(save, tensors):
    with pytest.raises(FileFormatError, match="expected a model that 'archsearch evaluate"):
        load_predictor(save(tensors=tensors))


def test_layers_without_weights_are_not_built_without_end(save, tmp_path):
    """Whatever their number, such layers have as many weights."""
    cell = CellGraph.from_equations("h' = tanh(x + h)")
    tensors = {
        "embedding.weight": torch.zeros(3, 4),
        "readout.weight": torch.zeros(3, 4),
        "readout.bias": torch.zeros(3),
    }
    for num_layers, is_read in ((2, True), (MAX_LAYERS + 1, False)):
        texts = {**metadata_of(TEXT), **texts_of_cell(cell), "model": model_text(num_layers)}
        path = save_weights(tensors, tmp_path / "weightless.safetensors", texts)
        if is_read:
            assert load_predictor(path).model.layers.num_layers == num_layers
        else:
            with pytest.raises(FileFormatError, match="num_layers: expected"):
                load_predictor(path)


def test_reading_leaves_the_global_generator_as_it_was(save):
    path = save()
    before = torch.get_rng_state()
    load_predictor(path).continue_text("ab", 5)
    assert torch.equal(torch.get_rng_state(), before)


def test_temperatures_are_finite_and_may_be_tiny(save):
    predictor = load_predictor(save())
    likeliest = predictor.continue_text("ab", 30, temperature=0)
    for temperature in (1e-320, 1e-30):
        assert predictor.continue_text("ab", 30, temperature) == likeliest
    for temperature in (math.nan, math.inf, -1.0):
        with pytest.raises(ConfigError, match="expected a length above 0 and a finite temperature"):
            predictor.continue_text("ab", 30, temperature)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_weights_that_are_no_numbers_draw_nothing(save, number):
    predictor = load_predictor(save(tensors={"readout.bias": torch.full((3,), number)}))
    for temperature in (0, 1):
        with pytest.raises(ConfigError, match="the model's numbers are not finite"):
            predictor.continue_text("ab", 5, temperature)


def test_a_table_is_no_text(save):
    with pytest.raises(ConfigError, match="expected a model that continues texts, got a model of kind 'series'"):
        load_predictor(save(SERIES)).joined("a", "b")
