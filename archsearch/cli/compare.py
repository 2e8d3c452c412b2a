"""`archsearch compare`: two runs, or two strategies with several runs each, on the same tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from archsearch.cli.composition import compose_settings
from archsearch.cli.new_files import check_writable, put_in_place, unfinished_beside, write_new
from archsearch.cli.run_configuration import from_yaml
from archsearch.cli.section import Section
from archsearch.cli.studying import read_confidence
from archsearch.cli.tables import PLAIN_WIDTH
from archsearch.cli.words import parse_words
from archsearch.errors import ConfigError, SearchStateError
from archsearch.run.reading import Run, load_run
from archsearch.run.views import to_csv
from archsearch.studies.comparison import Comparison, Side, compare, comparison_frame, differing_keys
from archsearch.studies.comparison_plot import plot_comparison
from archsearch.studies.intervals import Interval
from archsearch.studies.progress import BUDGETS, Budget, progress_of, shared_baseline

NOTHING_COMMON = "nothing in common"
# of a task's `search`, what makes trainings longer or larger; all else there is strategy
SIZES_OF_SPACE = ("num_layers", "max_parameters")
# what runs of one strategy may differ in: the seed, how long they went on, and where and how they were run
OWN_OF_A_RUN = {
    *("name", "seed", "results_dir", "budget", "workers", "ray", "workers_per_gpu", "time_limit_seconds"),
    *("memory_limit_mb", "grace_seconds", "max_equal_failures", "recorded", "checkpoint_cache"),
}
POPULATION_ENGINES = ("cuda", "vectorized")
VERDICT_BUDGET: Budget = "training_steps"  # a trial may be a short rung, and seconds depend on the load


def run(words: list[str]) -> int:
    """Prints how fit the best cells were for what was spent; writes curves and picture if asked to."""
    root = Section(compose_settings("compare", parse_words("compare", words)).values)
    confidence = read_confidence(root)
    sides = [[load_run(path) for path in _paths(root.text(key))] for key in ("run", "other")]
    compared = [each for side in sides for each in side]
    _check_comparable(compared)
    for key, side in zip(("run", "other"), sides, strict=True):
        _check_one_strategy(key, side)
    csv = _target(root, "csv", ".csv")
    out = _target(root, "out", ".png")
    baseline = shared_baseline(_runs_of_baselines(root, compared))
    first, second = (
        Side(name, tuple(progress_of(each, baseline, _goes_on_from_checkpoints(each)) for each in side))
        for name, side in zip(_names(root, sides), sides, strict=True)
    )
    of_which = "baselines of the runs named" if "baselines" in root else "all runs' baselines"
    print_comparison(first, second, compare(first, second, confidence), confidence, of_which)
    if csv is not None:
        write_new(csv, to_csv(comparison_frame(first, second)))
        print(f"Wrote {csv}")
    if out is not None:
        unfinished = unfinished_beside(out)
        plot_comparison(first, second, BUDGETS, unfinished)
        put_in_place(unfinished, out)
        print(f"Wrote {out}")
    return 0


def _runs_of_baselines(root: Section, compared: Sequence[Run]) -> Sequence[Run]:
    """Returns the runs whose baselines are divided by: those that are named, else those that are compared.

    Raises:
        ConfigError: One is about something else than the runs that are compared.
        SearchStateError: One has no baseline yet.
    """
    if "baselines" not in root:
        return compared
    named = [load_run(path) for path in _paths(root.text("baselines"))]
    known = {each.path.resolve() for each in compared}
    _check_comparable([*compared, *(each for each in named if each.path.resolve() not in known)])
    return named


def _paths(text: str) -> list[str]:
    """Returns one path, or several with commas between them; the brackets of a list may be left out."""
    if Path(text).exists():
        return [text]
    return [part.strip() for part in text.removeprefix("[").removesuffix("]").split(",") if part.strip()]


def _names(root: Section, sides: Sequence[Sequence[Run]]) -> tuple[str, str]:
    if "names" in root:
        names = root.texts("names")
        if len(names) != 2 or names[0] == names[1]:
            raise ConfigError(f"names: expected two different names such as [evolution,random], got {list(names)}.")
        return names[0], names[1]
    first, second = (", ".join(each.folder.name for each in side) for side in sides)
    return (first, second) if first != second else (f"{first} (run)", f"{second} (other)")


def _target(root: Section, key: str, ending: str) -> Path | None:
    if key not in root:
        return None
    path = Path(root.text(key))
    if path.suffix != ending:
        raise ConfigError(f"{key}: expected a file name that ends in {ending}, got '{path}'. Rename it.")
    check_writable(path)
    return path


def _check_comparable(runs: Sequence[Run]) -> None:
    """Checks that all runs are about the same tasks, sizes, recipe and baseline, and have found their baselines.

    Raises:
        ConfigError: Two of them differ, or are one.
        SearchStateError: One has no baseline yet.
    """
    paths = [each.path.resolve() for each in runs]
    if len(set(paths)) < len(paths):
        raise ConfigError("run, other: expected each run once, got one twice. It says nothing new the second time.")
    for each in runs:
        if not each.outcomes:
            raise SearchStateError(
                f"{each.path}: expected a run whose founders are trained, got one without. Resume it."
            )
    kept = [_what_must_agree(each) for each in runs]
    for each, other in zip(runs[1:], kept[1:], strict=True):
        differences = differing_keys(kept[0], other)
        if differences:
            raise ConfigError(
                f"{runs[0].path} and {each.path} cannot be compared: {'; '.join(differences)}. Compare runs on the "
                f"same tasks and sizes."
            )


def _check_one_strategy(key: str, runs: Sequence[Run]) -> None:
    """Checks that the runs of a side are searches of one kind with different seeds.

    Raises:
        ConfigError: Two of them are the same search, or of different kinds.
    """
    kinds = [_configuration(each) for each in runs]
    first = {name: value for name, value in kinds[0].items() if name not in OWN_OF_A_RUN}
    seeds: dict[object, Path] = {}
    for each, values in zip(runs, kinds, strict=True):
        differences = differing_keys(first, {name: value for name, value in values.items() if name not in OWN_OF_A_RUN})
        if differences:
            raise ConfigError(
                f"{key}: expected runs that differ in nothing but the seed, but of {runs[0].path} and {each.path} "
                f"{'; '.join(differences)}. Put runs of another kind on the other side."
            )
        if values["seed"] in seeds:
            raise ConfigError(
                f"{key}: expected runs of different seeds, but {seeds[values['seed']]} and {each.path} both have "
                f"seed={values['seed']}: they are the same search twice. Give each run a seed of its own."
            )
        seeds[values["seed"]] = each.path


def _goes_on_from_checkpoints(each: Run) -> bool:
    """Says whether a longer training of a setting goes on where the shorter one ended."""
    values = _configuration(each)
    return values.get("checkpoint_cache") is not None and values.get("engine") not in POPULATION_ENGINES


def _configuration(each: Run) -> dict[str, Any]:
    return dict(from_yaml(each.folder.read_config(), each.folder.config_path))


def _what_must_agree(each: Run) -> dict[str, Any]:
    values = _configuration(each)
    tasks: dict[str, Any] = {}
    for name, entry in values["task"].items():
        search: Mapping[str, Any] = entry.get("search") or {}
        space = {key: (search.get("space") or {}).get(key) for key in SIZES_OF_SPACE}
        tasks[name] = {**entry, "search": {"max_steps": search.get("max_steps"), "space": space}}
    founders = values.get("founders") or [{}]
    return {"task": tasks, "recipe": values.get("recipe"), "baseline": founders[0].get("equations")}


def print_comparison(
    first: Side,
    second: Side,
    comparisons: Sequence[Comparison],
    confidence: float,
    of_which: str = "all runs' baselines",
) -> None:
    """Prints the table, where its intervals come from, and which side found the fitter cell."""
    console = Console(markup=False)
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH, markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("budget", "spent by each", "measure"):
        table.add_column(name, no_wrap=True)
    for name in (first.name, second.name, "difference"):
        table.add_column(name, justify="right")
    for comparison in comparisons:
        has_found = [interval.estimate > 0 for row in comparison.rows[:1] for interval in row[1:3]]
        for measure, one, two, difference in comparison.rows:
            table.add_row(
                comparison.budget.replace("_", " "),
                f"{comparison.end:,.0f}",
                "best fitness" if measure == "fitness" else f"mean from {comparison.begin:,.0f} on",
                *(_span(own) if has else "none" for own, has in zip((one, two), has_found, strict=True)),
                _span(difference, sign="+") if all(has_found) else "",
            )
        if not comparison.rows:
            table.add_row(comparison.budget.replace("_", " "), f"{comparison.end:,.0f}", NOTHING_COMMON)
    console.print(table, end="")
    print(
        f"best fitness of a found cell, 0 before there is one; by ratios to the mean of {of_which}; at what the "
        "cheapest run spent.\n"
        f"{_where_from(first, second, confidence)}"
    )
    if not all(comparison.rows for comparison in comparisons):
        print(
            "Nothing in common: the founders of one run cost more than another run in all. Seconds depend on the load."
        )
    decisive = next(comparison for comparison in comparisons if comparison.budget == VERDICT_BUDGET)
    if decisive.rows:
        _say(first, second, decisive.rows[0][1:], f"At {decisive.end:,.0f} {VERDICT_BUDGET.replace('_', ' ')}")


def _where_from(first: Side, second: Side, confidence: float) -> str:
    counts = {len(side.progresses) > 1 for side in (first, second)}
    if counts == {True}:
        return f"In brackets {100 * confidence:g}% intervals over runs: Student's t; Welch's for the difference."
    kinds = "intervals from drawing the steps of a lone run again"
    if len(counts) > 1:
        kinds = (
            "intervals: of several runs, Student's t over runs; of a lone run, from drawing its steps again;\nof the "
            "difference, from drawing both again"
        )
    return (
        f"In brackets {100 * confidence:g}% {kinds}. Drawn steps show how much hung on single cells, not\nhow "
        "another seed would have gone. Several runs per side, run=[a,b,c], tell that."
    )


def _say(first: Side, second: Side, intervals: tuple[Interval, Interval, Interval], at: str) -> None:
    """Says which side found fitter cells; of lone runs only what they found, since nothing is known of their spread."""
    *own, difference = intervals
    without = [side.name for side, interval in zip((first, second), own, strict=True) if not interval.estimate]
    if without:
        print(f"{at} {' and '.join(without)} had found no cell that passed every gate.")
        return
    if min(len(first.progresses), len(second.progresses)) == 1:
        ahead, behind = (first, second) if difference.estimate > 0 else (second, first)
        found = f"the best cell of {ahead.name} was fitter by {abs(difference.estimate):.4f} than that of {behind.name}"
        if not difference.estimate:
            found = f"the best cells of {first.name} and {second.name} were equally fit"
        print(f"{at} {found}: of these runs, not of what made them.")
        return
    verdict = f"{first.name} and {second.name} are not distinguishable"
    if difference.low > 0:
        verdict = f"{first.name} finds fitter cells than {second.name}"
    elif difference.high < 0:
        verdict = f"{second.name} finds fitter cells than {first.name}"
    print(f"{at} {verdict}: {_span(difference, sign='+')}.")


def _span(interval: Interval, sign: str = "") -> str:
    return f"{interval.estimate:{sign}.4f} ({interval.low:{sign}.4f} to {interval.high:{sign}.4f})"
