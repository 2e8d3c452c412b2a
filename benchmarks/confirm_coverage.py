"""Measures on simulated trainings with known truth how often the intervals of `archsearch confirm` are right.

    python benchmarks/confirm_coverage.py [--simulations 2000] [--csv FILE]

Four tables: (1) one interval of 95 % alone, by four methods; (2) `judge` as `confirm` uses it, for all finalists at
once; (3) a search among cells that are all equal, whose best are then confirmed: how often a winner is announced; (4) a
cell that truly is better: how often `confirm top=… seeds=… settings=6` says so, where settings are worth what they were
worth to six cells of the study (`results/study/table_1`, 16 settings; 12 on Penn Treebank).

Noise is normal, of worse shapes, or real: `replicate_values.json` holds the values on test data of a confirmation
(`archsearch confirm run=results/quickstart-1 top=3 seeds=12`, of the quickstart search with seed 1), which are drawn
with replacement. `replicate_spread.py` prints their spread. All in logarithms.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from tables import CsvFile, table

from archsearch.graph.catalog import zoo_cell
from archsearch.run.reading import load_run
from archsearch.studies.verdicts import judge
from archsearch.trials.setting import Setting

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]

SPREAD = 0.025
"""Standard deviation of the logarithm of one training's value; as `replicate_spread.py` found."""
SETTING_SPREAD = 0.1
"""Of the mean worth of settings: `calibration_tables.py results/study/table_1` has .09 of the top on both tasks."""
INTERACTION_SPREAD = 0.1
"""Of what a setting is worth to one cell beyond that; there .15 (arithmetic) and .19 (XML)."""
CONFIDENCE = 0.95
NUM_RESAMPLES = 1999
ANNOUNCED = ("by the search", "by confirm", "if settings were drawn once", "if tuned once")
TUNED_ONCE = 2
GAINS = (0.0, 0.02, 0.03, 0.05, 0.08, 0.12)
"""By how much a cell is better on every task."""
STUDY = Path(__file__).parents[1] / "results" / "study" / "table_1"
CLOSE_CELLS = ("mut1", "mut2", "mut3", "lstm_b", "lstm_o")
NUM_SETTINGS = 6
LEAST_VALUE = 1e-3


def _collapsing(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """One training in ten loses much: mean 0, standard deviation 1."""
    losses = np.where(rng.random(shape) < 0.1, rng.exponential(3.0, shape), 0.0)
    noise = rng.normal(0.0, 0.5, shape) - losses
    return np.asarray((noise + 0.3) / np.sqrt(0.25 + 0.1 * 18 - 0.09))


NOISES: Mapping[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tails (t, 3 df)": lambda rng, shape: rng.standard_t(3, shape) / np.sqrt(3.0),
    "one in ten collapses": _collapsing,
}


def real_noises() -> dict[str, tuple[Draw, Draw]]:
    """Returns, by task, how the measured values of the baseline vary, and the measured ratios to it, both about 0."""
    text = (Path(__file__).parent / "replicate_values.json").read_text(encoding="utf-8")
    kept = json.loads(text)
    found = {}
    for task in kept["tasks"]:
        logs = {cell: np.log(values[task]) for cell, values in kept["test_values"].items()}
        baseline = logs.pop(kept["baseline"])
        ratios = np.array([values - baseline for values in logs.values()])
        centred = ratios - ratios.mean(axis=1, keepdims=True)
        found[f"real, {task}"] = _resampling(baseline[None] - baseline.mean()), _resampling(centred)
    return found


def _resampling(rows: Array) -> Draw:
    """Returns noise that comes from one row of measured values at a time, in units of `SPREAD`."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        row = rng.integers(0, len(rows), (*shape[:-1], 1))
        return rows[row, rng.integers(0, rows.shape[1], shape)] / SPREAD

    return draw


def student(logs: Array) -> tuple[Array, Array]:
    """Returns the limits that `confirm` uses, `[S]` each, for `[S, n]` log ratios."""
    half = stats.t.isf(0.025, logs.shape[1] - 1) * logs.std(axis=1, ddof=1) / np.sqrt(logs.shape[1])
    return logs.mean(axis=1) - half, logs.mean(axis=1) + half


def percentile(logs: Array) -> tuple[Array, Array]:
    """Returns the percentile bootstrap's limits (Efron 1979, "Bootstrap methods", Annals of Statistics 7)."""
    means = _resampled(logs).mean(axis=2)
    low, high = np.quantile(means, (0.025, 0.975), axis=1)
    return low, high


def accelerated(logs: Array) -> tuple[Array, Array]:
    """Returns BCa limits (Efron 1987, "Better bootstrap confidence intervals", JASA 82)."""
    n = logs.shape[1]
    means = np.sort(_resampled(logs).mean(axis=2), axis=1)
    share = ((means < logs.mean(axis=1, keepdims=True)).mean(axis=1)).clip(1e-4, 1 - 1e-4)
    bias = stats.norm.ppf(share)
    others = (logs.sum(axis=1, keepdims=True) - logs) / (n - 1)
    apart = others.mean(axis=1, keepdims=True) - others
    acceleration = (apart**3).sum(axis=1) / (6 * ((apart**2).sum(axis=1) ** 1.5 + 1e-300))
    limits = []
    for error in (0.025, 0.975):
        shifted = bias + stats.norm.ppf(error)
        level = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
        place = np.clip((level * means.shape[1]).astype(int), 0, means.shape[1] - 1)
        limits.append(means[np.arange(len(means)), place])
    return limits[0], limits[1]


def bootstrap_t(logs: Array) -> tuple[Array, Array]:
    """Returns the studentized bootstrap's limits (Efron & Tibshirani 1993, ch. 12.5)."""
    resampled = _resampled(logs)
    errors = resampled.std(axis=2, ddof=1) / np.sqrt(logs.shape[1])
    errors[errors < 1e-12] = np.nan  # a resample of one value over and over
    t = (resampled.mean(axis=2) - logs.mean(axis=1, keepdims=True)) / errors
    t = np.where(np.isnan(t).all(axis=1, keepdims=True), 0.0, t)  # values that are all equal
    low, high = np.nanquantile(t, (0.025, 0.975), axis=1)
    error = logs.std(axis=1, ddof=1) / np.sqrt(logs.shape[1])
    return logs.mean(axis=1) - high * error, logs.mean(axis=1) - low * error


METHODS = {"Student": student, "percentile": percentile, "BCa": accelerated, "bootstrap-t": bootstrap_t}


def _resampled(logs: Array) -> Array:
    rng = np.random.Generator(np.random.PCG64(0))
    places = rng.integers(0, logs.shape[1], (NUM_RESAMPLES, logs.shape[1]))
    return logs[:, places]


def coverage_of_methods(draw: Draw, num_seeds: int, is_paired: bool, num_simulations: int) -> dict[str, float]:
    """Returns the share of simulations in which each method's interval holds the true mean log ratio, 0.

    Args:
        draw: The noise of a training.
        num_seeds: Pairs.
        is_paired: Whether the baseline is as noisy as the cell; if not, the ratio has all the skew of the noise.
        num_simulations: How many.
    """
    rng = np.random.Generator(np.random.PCG64(1))
    shape = num_simulations, num_seeds
    logs = SPREAD * (draw(rng, shape) - (draw(rng, shape) if is_paired else 0.0))
    parts = [logs[begin : begin + 200] for begin in range(0, num_simulations, 200)]
    found = {}
    for name, method in METHODS.items():
        limits = [method(part) for part in parts]
        found[name] = float(np.mean([((low <= 0) & (high >= 0)).mean() for low, high in limits]))
    return found


def coverage_of_judgements(
    draw: Draw, num_seeds: int, ratios: Sequence[Sequence[float]], num_simulations: int
) -> tuple[float, float]:
    """Returns how often all limits hold at once: of the ratios on the first task, and of the fitnesses.

    Args:
        draw: The noise of a training.
        num_seeds: Replicates.
        ratios: True ratios, by finalist and task.
        num_simulations: How many.
    """
    rng = np.random.Generator(np.random.PCG64(2))
    truths = np.array(ratios)
    num_right_ratios = num_right_fitnesses = 0
    for _ in range(num_simulations):
        noise = SPREAD * draw(rng, (len(truths) + 1, truths.shape[1], num_seeds))
        values = np.exp(noise + np.log(np.vstack([np.ones(truths.shape[1]), truths]))[:, :, None])
        judgements = [judge(_by_task(cell), _by_task(values[0]), CONFIDENCE, len(truths)) for cell in values[1:]]
        pairs = list(zip(judgements, truths, strict=True))
        num_right_ratios += all(
            judged.ratios["0"].low <= truth[0] <= judged.ratios["0"].high for judged, truth in pairs
        )
        num_right_fitnesses += all(
            judged.fitness is not None and judged.fitness.low <= truth.min() <= judged.fitness.high
            for judged, truth in pairs
        )
    return num_right_ratios / num_simulations, num_right_fitnesses / num_simulations


def announcements_among_equals(
    draw: Draw,
    num_seeds: int,
    num_tasks: int,
    num_simulations: int,
    *,
    setting_spread: float = SETTING_SPREAD,
    interaction_spread: float = INTERACTION_SPREAD,
    num_cells: int = 100,
    num_settings: int = 4,
    num_finalists: int = 5,
) -> tuple[float, float, float, float]:
    """Simulates searches among cells that do not differ, each followed by a confirmation.

    Settings are random: what one is worth differs, also from cell to cell, but no cell gets more of the good ones. A
    search tries every cell with every setting and ranks by the best. The best are tuned anew, all with the same
    settings, drawn for each seed; the setting chosen is trained on a fresh replicate.

    Returns:
        The share of searches whose best cell seemed fitter than the baseline, the share of confirmations that called
        at least one finalist better than it, and what that share were if one draw of settings, or one draw and one
        tuning, served for all seeds.
    """
    rng = np.random.Generator(np.random.PCG64(3))
    num_seeming, num_announced = 0, [0, 0, 0]
    shape = num_finalists + 1, num_tasks, num_seeds

    def draw_worth(cells: int, seeds: int) -> Array:
        common = setting_spread * rng.normal(size=(1, num_tasks, seeds, num_settings))
        return np.asarray(common + interaction_spread * rng.normal(size=(cells, num_tasks, seeds, num_settings)))

    for _ in range(num_simulations):
        searched = draw_worth(num_cells + 1, 1)[:, :, 0] + SPREAD * draw(rng, (num_cells + 1, num_tasks, num_settings))
        bests = searched.max(axis=2)
        num_seeming += bool((bests[1:] - bests[0]).min(axis=1).max() > 0)
        drawn_anew = draw_worth(num_finalists + 1, num_seeds)
        drawn_once = np.broadcast_to(drawn_anew[:, :, :1], drawn_anew.shape)
        for way, worth in enumerate((drawn_anew, drawn_once, drawn_once)):
            choices = (worth + SPREAD * draw(rng, worth.shape)).argmax(axis=3)
            if way == TUNED_ONCE:
                choices = np.broadcast_to(choices[:, :, :1], choices.shape)
            chosen = np.take_along_axis(worth, choices[..., None], axis=3)[..., 0]
            values = np.exp(chosen + SPREAD * draw(rng, shape))
            baseline = _by_task(values[0])
            num_announced[way] += any(
                judge(_by_task(cell), baseline, CONFIDENCE, num_finalists).verdict == "better" for cell in values[1:]
            )
    again, fixed, once = (num / num_simulations for num in num_announced)
    return num_seeming / num_simulations, again, fixed, once


def study_worths() -> dict[str, tuple[Array, Array]]:
    """Returns, by task, the log values that the settings of Table 1 had: `[S]` the GRU's, `[C, S]` five others'.

    Of a training that failed, a value that no tuning chooses.
    """
    run = load_run(STUDY)
    digests = [zoo_cell(name).digest for name in ("gru", *CLOSE_CELLS)]
    values: dict[str, dict[tuple[str, Setting], float]] = {task: {} for task in run.tasks}
    for trial in run.journaled_trials:
        values[trial.task][trial.cell, trial.setting] = trial.result.value or LEAST_VALUE
    worths = {}
    for task, found in values.items():
        settings = sorted({setting for _, setting in found})
        logs = np.log([[found[digest, setting] for setting in settings] for digest in digests])
        worths[task] = logs[0], logs[1:]
    return worths


def tuned_log_ratios(rng: np.random.Generator, worths: tuple[Array, Array], shape: tuple[int, int]) -> Array:
    """Returns log ratios of a cell to the GRU, `[simulations, seeds]`, each after a tuning with 6 settings.

    The cell of a simulation is one of the others, made as good as the GRU: its mean over all draws of settings is 0.
    """
    gru, others = worths
    which = rng.integers(0, len(others), shape[0])
    logs = np.stack([gru[None].repeat(shape[0], 0), others[which]])[:, :, None].repeat(shape[1], 2)
    drawn = rng.random(logs.shape[1:]).argsort(axis=-1)[None, ..., :NUM_SETTINGS]
    worth = np.take_along_axis(logs, drawn.repeat(2, 0), axis=-1)
    choices = (worth + SPREAD * rng.normal(size=worth.shape)).argmax(axis=-1)
    chosen = np.take_along_axis(worth, choices[..., None], axis=-1)[..., 0]
    ratios = chosen[1] - chosen[0]
    means = np.array([ratios[which == cell].mean() for cell in range(len(others))])
    return np.asarray(ratios - means[which][:, None] + SPREAD * np.sqrt(2) * rng.normal(size=shape))


def findings_of_a_better_cell(
    worths: Mapping[str, tuple[Array, Array]], num_seeds: int, num_finalists: int, num_simulations: int
) -> tuple[list[float], list[float]]:
    """Simulates confirmations of a cell that is better on every task, each by one of `GAINS`.

    Args:
        worths: By task; see `study_worths`.
        num_seeds: Pairs.
        num_finalists: That share the error; the others are not simulated.
        num_simulations: How many.

    Returns:
        The share of confirmations that called the cell better, by gain; and, by task, the median distance of a ratio's
        lower limit from its estimate, in logarithms.
    """
    rng = np.random.Generator(np.random.PCG64(4))
    logs = [tuned_log_ratios(rng, of_task, (num_simulations, num_seeds)) for of_task in worths.values()]
    num_found, widths = [0] * len(GAINS), []
    for simulation in np.exp(np.stack(logs, axis=1)):
        for number, gain in enumerate(GAINS):
            judged = judge(
                _by_task((1 + gain) * simulation), _by_task(np.ones_like(simulation)), CONFIDENCE, num_finalists
            )
            num_found[number] += judged.verdict == "better"
        widths.append([np.log(ratio.estimate / ratio.low) for ratio in judged.ratios.values()])
    return [num / num_simulations for num in num_found], list(np.median(widths, axis=0))


def _by_task(values: Array) -> dict[str, list[float]]:
    return {str(task): list(of_task) for task, of_task in enumerate(values)}


def print_methods(csv: CsvFile, num: int) -> None:
    """Prints table (1)."""
    print(f"(1) one interval of 95 % alone: coverage in %, {num} simulations\n")
    noises = [(kind, draw, True) for kind, draw in NOISES.items()]
    noises += [(f"{kind}, cell only", draw, False) for kind, draw in NOISES.items()]
    noises += [(kind, ratios, False) for kind, (_, ratios) in real_noises().items()]
    rows: list[list[object]] = []
    for kind, draw, is_paired in noises:
        for num_seeds in (3, 5, 10):
            found = coverage_of_methods(draw, num_seeds, is_paired, num)
            rows.append([kind, num_seeds, *(f"{100 * share:.1f}" for share in found.values())])
            for method, share in found.items():
                csv.add({"table": 1, "noise": kind, "seeds": num_seeds, "what": method, "share": share})
    print(table(("noise", "seeds", *METHODS), rows))


def print_judgements(csv: CsvFile, num: int) -> None:
    """Prints table (2)."""
    print("\n(2) 95 % for all finalists at once, 5 seeds: coverage in %\n")
    cases = {
        "1 finalist, 1 task, equal": [[1.0]],
        "5 finalists, 1 task, equal": [[1.0]] * 5,
        "5 finalists, 3 tasks, equal": [[1.0] * 3] * 5,
        "5 finalists, 3 tasks, apart": [[0.98, 1.03, 1.1]] * 5,
    }
    rows: list[list[object]] = []
    for noise, draw in NOISES.items():
        for name, truths in cases.items():
            shares = coverage_of_judgements(draw, 5, truths, num)
            rows.append([noise, name, *(f"{100 * share:.1f}" for share in shares)])
            for what, share in zip(("ratios", "fitness"), shares, strict=True):
                sizes = {"seeds": 5, "finalists": len(truths), "tasks": len(truths[0])}
                csv.add({"table": 2, "noise": noise, **sizes, "what": f"{what}, {name}", "share": share})
    print(table(("noise", "case", "ratios of a task", "fitness"), rows))


def print_announcements(csv: CsvFile, num: int) -> None:
    """Prints table (3)."""
    print("\n(3) searches among 100 equal cells: a winner in % of cases; at most 2.5 are stated\n")
    noises = {**NOISES, **{kind: values for kind, (values, _) in real_noises().items()}}
    rows: list[list[object]] = []
    for noise, draw in noises.items():
        for num_tasks in (1, 3):
            for num_seeds in (3, 5, 10):
                shares = announcements_among_equals(draw, num_seeds, num_tasks, num)
                rows.append([noise, num_tasks, num_seeds, *(f"{100 * share:.1f}" for share in shares)])
                sizes = {"seeds": num_seeds, "finalists": 5, "tasks": num_tasks}
                for what, share in zip(ANNOUNCED, shares, strict=True):
                    csv.add({"table": 3, "noise": noise, **sizes, "what": what, "share": share})
    print(table(("noise", "tasks", "seeds", *ANNOUNCED), rows))


def print_findings(csv: CsvFile, num: int) -> None:
    """Prints table (4)."""
    worths = study_worths()
    print(f"\n(4) a cell better on each of {', '.join(worths)}: called better in % of cases\n")
    rows: list[list[object]] = []
    for num_finalists, num_seeds in ((5, 5), (3, 12), (3, 24), (2, 32), (1, 24), (1, 48)):
        shares, widths = findings_of_a_better_cell(worths, num_seeds, num_finalists, num)
        half_widths = " / ".join(f"{100 * width:.1f}" for width in widths)
        rows.append([num_finalists, num_seeds, half_widths, *(f"{100 * share:.1f}" for share in shares)])
        sizes = {"noise": "study", "seeds": num_seeds, "finalists": num_finalists, "tasks": len(worths)}
        for gain, share in zip(GAINS, shares, strict=True):
            csv.add({"table": 4, **sizes, "what": f"{gain:g}", "share": share})
        for task, width in zip(worths, widths, strict=True):
            csv.add({"table": 4, **sizes, "what": f"half width, {task}", "share": width})
    print(table(("finalists", "seeds", "half widths, %", *(f"{100 * gain:g} %" for gain in GAINS)), rows))


def main() -> None:
    """Prints the four tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--csv", type=Path, default=Path("bench-confirm.csv"))
    arguments = parser.parse_args()
    with CsvFile(arguments.csv, ("table", "noise", "seeds", "tasks", "finalists", "what", "share")) as csv:
        for print_table in (print_methods, print_judgements, print_announcements, print_findings):
            print_table(csv, arguments.simulations)


if __name__ == "__main__":
    main()
