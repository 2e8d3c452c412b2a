"""The benchmarks run, measure all they promise, and judge rightly. Their figures are nobody's business here."""

import csv
import importlib
import itertools
import json
import math
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from archsearch.cli.main import run_command_line
from archsearch.compiler.lower import lower
from archsearch.compiler.native.compiled import check_native
from archsearch.errors import EngineError
from archsearch.graph.catalog import zoo_cell
from archsearch.run.journal import Journal
from archsearch.run.reading import load_run
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe, Trial, TrialResult

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _benchmarks_are_importable(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


def module(name):
    return importlib.import_module(name)


def run(script, folder, *words):
    """Runs a benchmark in a process of its own; returns what it printed and the rows of its CSV."""
    path = folder / "measured.csv"
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), *words, "--csv", str(path)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    with path.open(encoding="utf-8", newline="") as file:
        return done.stdout, list(csv.DictReader(file))


def test_engines_measures_every_contender(tmp_path):
    printed, rows = run(
        "engines.py",
        tmp_path,
        *("--sizes", "8", "16", "--cells", "gru", "lstm_torch", "--mutants", "1", "--repeats", "1"),
    )
    assert [(row["cell"], row["H"]) for row in rows] == [
        (cell, size) for cell in ("gru", "lstm_torch", "mutant_01") for size in ("8", "16")
    ]
    contenders = ("interpreter", "native", "nn_gru", "nn_lstm", "torch_loop")
    for row, own in zip(rows[::2], ({"nn_gru", "torch_loop"}, {"nn_lstm"}, set()), strict=True):
        for kind in ("layer", "step"):
            measured = {name: row[f"{name}_{kind}_ms"] for name in contenders}
            assert {name for name, value in measured.items() if value} == {"interpreter", "native"} | own
            assert all(float(value) > 0 for value in measured.values() if value)
        assert float(row["native_direct_step_ms"]) > 0
        assert float(row["build_cold_seconds"]) > float(row["build_cached_seconds"]) > 0
    gru = rows[0]
    assert (gru["nodes"], gru["matrices"]) == ("16", "6")
    assert int(gru["flops"]) == 6 * 3 * 2 * 35 * 20 * 8 * 8
    floors = {way: float(gru[f"floor_{way}_ms"]) for way in ("untransposed", "transposed", "packed")}
    assert floors[gru["floor_way"]] == min(floors.values()) == float(gru["floor_ms"])
    assert "build, cold, worst" in printed
    assert str(tmp_path / "measured.csv") in printed


def test_training_steps_measures_both_engines(tmp_path):
    _, rows = run("training_steps.py", tmp_path, "--cases", "memorization", "--seconds", "0.1", "--repeats", "1")
    assert [row["engine"] for row in rows] == ["interpreter", "native"]
    for row in rows:
        shares = {name: float(value) for name, value in row.items() if name.startswith("share_")}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert all(share > 0 for share in shares.values())
        tokens = 5 * 20  # three symbols to read, and two to read again before the last is predicted
        assert float(row["tokens_per_second"]) == pytest.approx(1000 * tokens / float(row["ms_per_step"]), rel=1e-4)


def test_readout_measures_torch_and_native(tmp_path):
    text, (row,) = run("readout.py", tmp_path, "--sizes", "16", "--symbols", "40", "--seconds", "0.1")
    assert "40" in text
    assert float(row["full_speedup"]) == pytest.approx(float(row["torch_ms"]) / float(row["full_ms"]), rel=1e-3)


def test_precision_compares_on_three_tasks(tmp_path):
    try:
        check_native("bfloat16")
    except EngineError as error:
        pytest.skip(str(error))
    _, rows = run("precision.py", tmp_path, "--cells", "gru", "--seeds", "2", "--steps", "40")
    assert [row["task"] for row in rows] == ["arithmetic", "xml", "words"]
    for row in rows:
        difference = float(row["bfloat16"]) - float(row["float32"])
        assert float(row["difference"]) == pytest.approx(difference, abs=1e-5)
        assert float(row["float32"]) > 0
    assert any(float(row["difference"]) != 0 for row in rows)  # both precisions did run


def test_confirm_coverage_prints_its_four_tables(tmp_path):
    printed, rows = run("confirm_coverage.py", tmp_path, "--simulations", "10")
    assert all(f"({number})" in printed for number in (1, 2, 3, 4))
    assert {row["table"] for row in rows} == {"1", "2", "3", "4"}
    assert {row["what"] for row in rows if row["table"] == "1"} == {"Student", "percentile", "BCa", "bootstrap-t"}
    assert all(0 <= float(row["share"]) <= 1 for row in rows)


def test_replicate_spread_reads_a_confirmation(tmp_path):
    values = {"gru": [0.5, 0.5, 0.5], "other": [0.5, 0.55, 0.6]}
    kept = {"tasks": ["a"], "baseline": "gru", "test_values": {cell: {"a": of} for cell, of in values.items()}}
    (tmp_path / "confirmation.json").write_text(json.dumps(kept), encoding="utf-8")
    (tmp_path / "confirm").mkdir()
    Journal.create(tmp_path / "confirm" / "archsearch.db").close()
    done = subprocess.run(
        [sys.executable, str(FOLDER / "replicate_spread.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    spread = statistics.stdev([math.log(1.0), math.log(1.1), math.log(1.2)])
    assert f"{spread:.3f}" in done.stdout


def test_replicate_spread_counts_only_settings_that_were_trained_twice(tmp_path):
    """As `confirm` has it, with settings drawn for each seed: most are trained once, and say nothing of replicates."""
    graph = zoo_cell("gru").canonical()
    kept = {"tasks": ["a"], "baseline": "gru", "test_values": {"gru": {"a": [0.5, 0.6]}, "other": {"a": [0.5, 0.7]}}}
    (tmp_path / "confirmation.json").write_text(json.dumps(kept), encoding="utf-8")
    (tmp_path / "confirm").mkdir()
    journal = Journal.create(tmp_path / "confirm" / "archsearch.db")
    trained = ((0.5, (0.4,)), (1.0, (0.5, 0.55, 0.6)), (2.0, (0.3, 0.32)), (4.0, (0.2,)))
    for rate, values in trained:
        for replicate, value in enumerate(values, start=1001):
            setting = Setting(1.0, rate, 1.0, 1, 1000)
            trial = Trial(graph.digest, graph, "a", "task", Recipe(), setting, replicate, 10, 1)
            journal.add_trial(trial, TrialResult("ok", value, steps=10))
    journal.close()

    def printed(path):
        command = [sys.executable, str(FOLDER / "replicate_spread.py"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    first, second = ([math.log(value) for value in values] for _, values in trained[1:3])
    spread = math.sqrt((2 * statistics.variance(first) + statistics.variance(second)) / 3)
    assert printed(tmp_path).splitlines()[-1].split()[:4] == ["a", "4", "2", f"{spread:.3f}"]
    assert printed(FOLDER / "replicate_values.json").splitlines()[1].split()[:6] == (
        ["arithmetic", "12", "6", "0.031", "0.054", "0.044"]
    )


def test_unknown_cell_is_said(tmp_path):
    done = subprocess.run(
        [sys.executable, str(FOLDER / "engines.py"), "--cells", "no_such_cell", "--mutants", "0"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "no_such_cell" in done.stderr
    assert "Traceback" not in done.stderr


def test_products_of_the_gru_are_those_of_the_cell():
    products = module("matrix_products").packed_products(lower(zoo_cell("gru").structure))
    assert [(product.num_matrices, product.is_recurrent) for product in products] == [(3, False), (2, True), (1, True)]


@pytest.mark.parametrize("H", [7, 16, 40])
def test_floor_forms_the_products_that_a_layer_needs(H):
    products_module = module("matrix_products")
    T, B = 3, 5
    products = [products_module.PackedProduct(3, False), products_module.PackedProduct(2, True)]
    run = products_module.RuntimeProducts(products, T, B, H, torch.Generator().manual_seed(0))
    run()
    for number in range(len(products)):
        value = run.values[number][:, :H]
        results, weights = run.results[number][..., :H], run.weights[number]
        torch.testing.assert_close(results, value @ weights.mT)
        torch.testing.assert_close(run.d_values[number][:, :H], (results @ weights).sum(0))
        torch.testing.assert_close(run.d_weights[number], results.mT @ value)


def test_torch_ways_form_every_product_once():
    products_module = module("matrix_products")
    T, B, H = 3, 5, 8
    products = [products_module.PackedProduct(3, False), products_module.PackedProduct(2, True)]
    flops = 0

    def count(left, right, out):
        nonlocal flops
        assert torch.mm(left, right).shape == out.shape
        flops += 2 * left.shape[0] * left.shape[1] * right.shape[1]

    for name in ("untransposed", "transposed"):
        way = products_module.ways_to_multiply(products, T, B, H)[name]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(products_module.torch, "mm", counted(count))
            way()
    assert flops == 2 * products_module.count_flops(products, T, B, H)


def counted(count):
    original = torch.mm

    def mm(left, right, out=None):
        if out is not None:
            count(left, right, out)
        return original(left, right, out=out)

    return mm


def test_loop_by_hand_is_the_gru():
    contenders = module("contenders")
    layers = contenders.make_layers(zoo_cell("gru"), "gru", 6)
    x = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layers["torch_loop"](x)[0], layers["interpreter"](x)[0])
    torch.testing.assert_close(layers["native"](x)[0], layers["interpreter"](x)[0])


def test_step_without_autograd_is_the_step_with_it():
    contenders = module("contenders")
    x = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(0))
    layers = [contenders.make_layers(zoo_cell("lstm_torch"), "lstm_torch", 6)["native"] for _ in range(2)]
    before = [parameter.detach().clone() for parameter in layers[0].parameters()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contenders, "LEARNING_RATE", 1.0)
        contenders.run_step(layers[0], x)()
        contenders.run_direct_step(layers[1], x)()
    for old, one, other in zip(before, *(layer.parameters() for layer in layers), strict=True):
        assert not torch.equal(old, one)
        torch.testing.assert_close(one, other)


def test_mutants_are_different_and_the_same_for_the_same_seed():
    search_cells = module("search_cells")
    mutants = search_cells.draw_mutants(8, seed=3)
    assert len({mutant.graph.digest for mutant in mutants}) == 8
    assert [mutant.graph.digest for mutant in search_cells.draw_mutants(8, seed=3)] == [
        mutant.graph.digest for mutant in mutants
    ]
    assert search_cells.draw_mutants(1, seed=4)[0].graph.digest != mutants[0].graph.digest


def judged(H, **changes):
    """Returns the verdicts on a gru, a narrow and a wide mutant."""
    common = {"H": H, "nodes": 9, "kind": "mutant", "build_cold_seconds": 0.1, "build_cached_seconds": 0.001}
    times = {"native_step_ms": 1.0, "interpreter_step_ms": 4.0}
    gru = {"cell": "gru", "matrices": 6, "floor_share": 0.9, "nn_gru_step_ms": 1.7}
    rows = [
        common | times | gru | {"kind": "zoo"} | changes,
        common | times | {"cell": "narrow", "matrices": 1, "floor_share": 0.1, "interpreter_step_ms": 3.0},
        common | times | {"cell": "wide", "matrices": 2, "floor_share": 0.7, "build_cold_seconds": 0.9},
    ]
    return module("targets").report(rows).splitlines()


def columns_of(lines, figure):
    """Returns the columns of a figure's line: size, figure measured, target and verdict, aim and verdict."""
    line = next(line for line in lines if line.startswith(figure))
    return re.split(r"\s{2,}", line)[1:]


def test_verdicts_follow_the_targets_of_each_size():
    assert columns_of(judged(64), "gru against nn.GRU") == ["64", "1.7", "3.3", "NOT MET"]
    assert columns_of(judged(256), "gru against nn.GRU") == ["256", "1.7", "1.6", "met"]
    assert columns_of(judged(64, nn_gru_step_ms=3.3), "gru against nn.GRU") == ["64", "3.3", "3.3", "met"]
    assert columns_of(judged(100), "gru against nn.GRU") == ["100", "1.7"]
    assert columns_of(judged(256), "lstm_torch against nn.LSTM")[:2] == ["256", "not measured"]
    slowest = columns_of(judged(64), "mutants against interpreter, step, minimum")
    assert slowest == ["64", "3", "3.5", "NOT MET", "5", "NOT MET"]


def test_share_of_the_floor_leaves_out_cells_of_one_matrix():
    # the median of 0.9 and 0.7; with the narrow cell's 0.1 it would be 0.7
    assert columns_of(judged(256), "share of the GEMM floor") == ["256", "0.800", "0.750", "met", "0.850", "NOT MET"]


def test_slowest_mutant_is_named():
    line = next(line for line in judged(64) if "median of all mutants" in line)
    assert "narrow's" in line
    assert line.split()[-2:] == ["64", "3.5"]


def test_rows_that_others_disturbed_are_said():
    timing = module("timing")
    assert timing.disturbance([0.99, 1.0]) == ""
    assert "1 of 2 rows" in timing.disturbance([0.99, 0.5])


def test_medians_are_of_calls_and_contenders_take_turns():
    timing = module("timing")
    calls = []
    measured = timing.interleaved_medians({name: lambda name=name: calls.append(name) for name in "ab"}, 0.001, 2)
    assert measured.milliseconds.keys() == {"a", "b"}
    assert measured.rounds == 2
    # after two calls each to warm up, one round begins with a, the next one with b
    assert [name for name, _ in itertools.groupby(calls)] == ["a", "b", "a", "b", "a"]


def test_verdicts_on_builds_and_interpreter():
    lines = judged(64, torch_loop_step_ms=3.0)
    assert "build, cold, median: 100.0 ms, at most 300 ms: met" in lines
    assert "build, cold, worst (wide, 9 nodes): 900.0 ms, at most 600 ms: NOT MET" in lines
    assert "build, cached, worst: 1.0 ms, at most 10 ms: met" in lines
    (by_hand,) = (line for line in lines if "hand-written" in line)
    assert by_hand.endswith("1.33 of its time, at most 1.15: NOT MET")


def test_calibration_goes_on_where_it_stopped_and_is_balanced(tmp_path):
    words = (
        "--steps",
        "10",
        "--settings",
        "2",
        "--replicates",
        "1",
        "--tasks",
        "xml_4",
        "words",
        "--cells",
        "gru",
        "tanh",
    )

    def calibrate(*more):
        command = [sys.executable, str(FOLDER / "calibration.py"), str(tmp_path), *words, *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        with (tmp_path / "curves.csv").open(encoding="utf-8", newline="") as file:
            return done.stdout, list(csv.DictReader(file))

    printed, rows = calibrate("--minutes", "0")
    assert (printed[:17], rows) == ("0 trials trained ", [])
    printed, rows = calibrate()
    assert printed.startswith("8 trials trained now, 0 kept")
    again, same = calibrate()
    assert again.startswith("0 trials trained now, 8 kept")
    assert same == rows
    settings = {(row["task"], row["cell"]): [] for row in rows}
    for row in rows:
        settings[row["task"], row["cell"]].append(row["learning_rate"])
    assert {len(found) for found in settings.values()} == {2}
    assert settings["xml_4", "gru"] == settings["xml_4", "tanh"]


def test_calibration_tables_find_what_was_put_in(tmp_path, capsys, monkeypatch):
    """Curves that never cross, from levels of cells and settings: the order is there from the first point on."""
    tables = module("calibration_tables")
    rows = []
    for cell, level in {"gru": 0.5, "lstm": 0.45, "tanh": 0.2, "mut1": 0.55}.items():
        for setting in range(4):
            for replicate in range(2):
                for step in range(100, 2001, 100):
                    accuracy = (level + 0.02 * setting + 0.001 * replicate) * step / (step + 300)
                    point = {"init_scale": 1.0, "learning_rate": setting + 1, "max_gradient_norm": 1, "num_layers": 1}
                    key = {"cell": cell, "task": "xml_4", "max_parameters": 1000, "replicate": replicate}
                    rows.append({**key, **point, "status": "ok", "step": step, "accuracy": accuracy})
    path = tmp_path / "curves.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    monkeypatch.setattr(sys, "argv", ["calibration_tables.py", str(path)])
    tables.main()
    printed = capsys.readouterr().out
    order = next(line for line in printed.splitlines() if line.startswith("xml_4") and " 100 " in line)
    assert "1.000 [1.000, 1.000]  0.000 [0.000, 0.000]" in order
    top, tau = module("curve_fits").fit_curve(
        tables.np.arange(100, 2001, 100), 0.5 * (r := tables.np.arange(100, 2001, 100)) / (r + 300), 0.0
    )
    assert abs(top - 0.5) < 0.02
    assert abs(tau - 300) < 30


def test_calibration_tables_tell_a_lucky_training_from_a_better_cell(tmp_path, capsys, monkeypatch):
    """The order of the cells is the seed's doing: each training keeps its place, the other seed has the other order."""
    tables = module("calibration_tables")
    rows = []
    for replicate, levels in enumerate(((0.3, 0.4, 0.5, 0.6), (0.6, 0.5, 0.4, 0.3))):
        for cell, level in zip(("gru", "lstm", "tanh", "mut1"), levels, strict=True):
            for setting in range(3 - replicate):  # of settings that one seed lacks, nothing may be said
                for step in range(100, 2001, 100):
                    key = {"cell": cell, "task": "xml_4", "max_parameters": 1000, "replicate": replicate, "step": step}
                    point = {"init_scale": 1.0, "learning_rate": setting + 1, "max_gradient_norm": 1, "num_layers": 1}
                    rows.append(
                        {**key, **point, "status": "ok", "accuracy": level * (1 + 0.1 * setting) * step / (step + 300)}
                    )
    path = tmp_path / "curves.csv"
    tables.pd.DataFrame(rows).to_csv(path, index=False)
    monkeypatch.setattr(sys, "argv", ["calibration_tables.py", str(path)])
    tables.main()
    parts = capsys.readouterr().out.split("\n\n")
    (table,) = (part for part in parts if part.startswith("Which cell is better"))
    sure = [f"{value} [{value}, {value}]" for value in ("1.000", "-1.000", "-1.000", "0.000", "0.500", "0.500")]
    for line, steps in zip(table.splitlines()[2:], (100, 200, 500, 1000, 1500), strict=True):
        assert re.split(r"\s{2,}", line) == ["xml_4", str(steps), "2", *sure]
    (table,) = (part for part in parts if part.startswith("Spread of cells"))
    assert all(line.endswith("-1.000 [-1.000, -1.000]") for line in table.splitlines()[2:])


def test_table_1_counts_pairs_in_the_other_order():
    table_1 = module("table_1")
    means, papers = (table_1.np.array(values) for values in ([0.5, 0.6, 0.1, 0.7], [1.0, 0.99, 0.5, 0.9]))
    names = ["gru", "lstm", "tanh", "mut1"]
    found = [table_1.disagreements(means, papers, names, gap) for gap in (0.0, 0.02, 0.2)]
    assert found == [(6, ["gru < lstm", "gru < mut1", "lstm < mut1"]), (5, ["gru < mut1", "lstm < mut1"]), (3, [])]
    values = means[:, None] + table_1.np.array([-0.01, 0.0, 0.01])
    tau, low, high = table_1.tau_with_range(values, papers)
    assert (tau, low, high) == (0.0, 0.0, 0.0)  # as many pairs one way as the other, whatever seeds are drawn
    ratios = module("paper").ratios("xml_26")
    assert ratios["gru"] == 1
    assert round(ratios["mut1"], 3) == 1.033
    assert module("paper").ratios("words") is None


def test_table_1_counts_failures_alike_in_choosing_and_in_means(tmp_path):
    """A setting that fails half of the time is worth half, when it is chosen and in the mean."""
    table_1 = module("table_1")
    graph = zoo_cell("gru").canonical()
    (tmp_path / "seeds").mkdir()
    journal = Journal.create(tmp_path / "seeds" / "archsearch.db")
    trials = []
    for rate, values in ((0.5, (0.8, None)), (1.0, (0.5, 0.45))):
        for replicate, value in enumerate(values):
            trial = Trial(
                *(graph.digest, graph, "xml", "task", Recipe(), Setting(1.0, rate, 1.0, 1, 1000), replicate, 10, 1)
            )
            status = "ok" if value else "diverged"
            journal.add_trial(trial, TrialResult(status, value, steps=10))
            trials.append(trial)
    ((chosen,),) = table_1.choose(tmp_path / "seeds", trials).values()
    assert chosen.learning_rate == 1.0
    (values,) = table_1.qualities(journal, trials[:2], [graph.digest], "xml")
    journal.close()
    assert list(values) == [0.8, 0.0]
    others = table_1.np.array([[0.8, 0.0], [0.5, 0.45]])
    tau, *_ = table_1.tau_with_range(others, table_1.np.array([1.0, 2.0]))
    assert tau == 1, "the mean of the first is 0.4"


def test_populations_measures_every_contender_and_counts_groups(tmp_path):
    _, rows = run(
        "populations.py",
        tmp_path,
        *("--cells", "gru", "--mutants", "1", "--parameters", "2000"),
        *("--processes", "1", "--seconds", "0.05", "--rounds", "1", "--contenders", "interpreter", "population of 5"),
    )
    speed = [row for row in rows if row["part"] == "speed"]
    assert [row["contender"] for row in speed] == ["interpreter", "population of 5"]
    assert all(float(row["steps_per_second"]) > 0 for row in speed)
    groups = [row for row in rows if row["part"] == "groups"]
    assert {row["cell"] for row in groups} == {"gru", "mutant_01"}
    assert all(1 <= float(row["groups"]) <= 8 and float(row["work"]) >= 1 for row in groups)
    widest = [float(row["groups"]) for row in groups if row["padding"] == "3"]
    assert max(widest) < min(float(row["groups"]) for row in groups if row["padding"] == "1")


def test_run_engines_measures_trainings_of_a_run_with_both_engines(tmp_path):
    words = ("experiment=smoke", "task=xml", "budget.candidates=1", "search.max_steps=2", "screen=null", "name=tiny")
    assert run_command_line(["search", *words, f"results_dir={tmp_path}"]) == 0
    printed, rows = run("run_engines.py", tmp_path, str(tmp_path / "tiny"), "--trials", "3", "--steps", "2")
    assert len(rows) == 3
    ratios = [float(row["other_seconds"]) / float(row["seconds"]) for row in rows]
    assert [float(row["ratio"]) for row in rows] == pytest.approx(ratios, rel=1e-4)
    mean = statistics.mean(ratios)
    assert f"takes {mean:.2f} times as long" in printed
    pace, slowed = (float(line.split()[-2].replace(",", "")) for line in printed.splitlines()[-2:])
    assert pace / slowed == pytest.approx(mean, rel=0.02)
    frame = load_run(tmp_path / "tiny").trials()
    assert pace == pytest.approx(3600 * len(frame) / frame["training_seconds"].sum(), abs=0.6)
