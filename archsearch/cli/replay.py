"""`archsearch replay`: strategies against recorded results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from archsearch.cli.composition import compose_settings
from archsearch.cli.new_files import check_writable, write_new
from archsearch.cli.planning import read_bounds, read_rules, read_space, read_transformations
from archsearch.cli.section import Section
from archsearch.cli.words import TypedSetting, parse_words
from archsearch.errors import ConfigError
from archsearch.graph.catalog import cell_name, load_cell
from archsearch.run.views import to_csv
from archsearch.search.plan import Founder, SearchPlan, TaskPlan
from archsearch.studies.answers import RecordedSource, Source
from archsearch.studies.recorded_curves import read_recorded
from archsearch.studies.replay import replay
from archsearch.studies.replay_tables import Traces, budget_frame, comparison_frame, trace_frame
from archsearch.studies.synthetic_curves import TASKS, SyntheticSource
from archsearch.trials.trial import Recipe

STRATEGY = "strategy"
SYNTHETIC = "synthetic"


def run(words: list[str]) -> int:
    """Replays each strategy over all seeds, prints what they reached and spent; returns the exit code."""
    typed = parse_words("replay", words)
    plans = {}
    source: Source | None = None
    root = Section({})
    for name in _strategies(typed):
        root = Section(compose_settings("replay", _with_strategy(typed, name)).values)
        source = source or _source(root)
        plans[name] = _plan(root, source)
    assert source is not None  # there is always a strategy
    out = Path(root.text("out")) if "out" in root else None
    if out:
        check_writable(out)
    first, count = root.integer("seed"), root.integer("seeds", 1)
    traces = {name: replay(plan, source, range(first, first + count)) for name, plan in plans.items()}
    _print(traces, isinstance(source, RecordedSource))
    if out:
        write_new(out, to_csv(trace_frame(traces)))
        print(f"Traces: {out}")
    return 0


def _strategies(typed: list[TypedSetting]) -> list[str]:
    """Returns the names of the strategies, the first being what the others are compared with."""
    chosen = [setting.value for setting in typed if setting.key == STRATEGY]
    last = chosen[-1] if chosen else "jozefowicz2015"
    names = [str(name) for name in last] if isinstance(last, list) else str(last).split(",")
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"strategy: expected different names such as jozefowicz2015,halving, got {last!r}.")
    return names


def _with_strategy(typed: list[TypedSetting], name: str) -> list[TypedSetting]:
    return [*(setting for setting in typed if setting.key != STRATEGY), TypedSetting(STRATEGY, name, "", name)]


def _source(root: Section) -> Source:
    recorded = root.text("recorded")
    return SyntheticSource(TASKS) if recorded == SYNTHETIC else RecordedSource(read_recorded(Path(recorded)))


def _plan(root: Section, source: Source) -> SearchPlan:
    search = root.section("search")
    names = root.texts("tasks") if "tasks" in root else tuple(source.lengths)
    for name in names:
        if name not in source.lengths:
            raise ConfigError(f"tasks: expected some of {', '.join(source.lengths)}, got {name!r}.")
    return SearchPlan(
        root_seed=root.integer("seed"),
        recipe=Recipe(),
        founders=tuple(Founder(cell_name(text), load_cell(text).canonical()) for text in root.texts("founders")),
        screen=None,
        tasks=tuple(_task(search, name, source.lengths[name]) for name in names),
        num_candidates=root.section("budget").integer("candidates", 1),
        transformations=read_transformations(root.section("transformation")),
        bounds=read_bounds(root.section("bounds")),
        **read_rules(root),
    )


def _task(search: Section, name: str, length: int) -> TaskPlan:
    return TaskPlan(
        name=name,
        digest="recorded",
        space=read_space(search.section("space")),
        max_steps=search.integer("max_steps", 1) if "max_steps" in search else length,
        num_settings=search.integer("num_settings", 1),
        num_baseline_settings=search.integer("num_baseline_settings", 1) if "num_baseline_settings" in search else None,
    )


def _print(traces: Traces, recorded: bool) -> None:
    console = Console(markup=False)
    if not console.is_terminal:
        console = Console(width=200, markup=False)  # a file or a pipe has no edge to wrap at
    for spent in ("trials", "training_steps"):
        frame = budget_frame(traces, spent)
        table = Table(spent.replace("_", " "), *traces, box=box.SIMPLE_HEAD, pad_edge=False)
        for row in frame.to_dict("records"):
            table.add_row(f"{row[spent]:,}", *(_shown(row, name) for name in traces))
        console.print(table, end="")
    table = Table(
        *("strategy", "best fitness", "against the first", "trained again", "training steps", "of the first's"),
        "without checkpoints",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for row in comparison_frame(traces).to_dict("records"):
        steps = f"{row['training_steps_mean']:,.0f}"
        shares = (_shown(row, "steps_share"), _shown(row, "anew_share"))
        differences = (_shown(row, "difference", "+"), _expected(row))
        table.add_row(row["strategy"], _shown(row, "fitness"), *differences, steps, *shares)
    console.print(table, end="")
    seeds = len(next(iter(traces.values())))
    draws = " of draws from this one recording; more seeds do not make it surer of other trainings" if recorded else ""
    means = f"Means over {seeds} seeds and, in brackets, Student's interval of 95 %{draws}"
    if seeds == 1:
        means = "One seed, of which there is no interval: more seeds=… give one"
    print(
        f"{means}. Best fitness: least ratio to "
        "the baseline's best, one yardstick for all strategies. Trained again: the same difference, expected of "
        "another training of the cells that were best, over the seeds where one is known. Training steps: each rung "
        "goes on from the one before."
    )


def _expected(row: Mapping[Any, Any]) -> str:
    """Says of how many seeds it is, if not of all: of some, no other training of what was best was recorded."""
    number = row["expected_seeds"]
    count = "" if number == row["seeds"] else f" ({number} of {row['seeds']} seeds)"
    return f"{_shown(row, 'expected', '+')}{count}".lstrip()


def _shown(row: Mapping[Any, Any], name: str, sign: str = "") -> str:
    mean, low, high = (row[f"{name}_{part}"] for part in ("mean", "low", "high"))
    if mean != mean:  # NaN: not yet through
        return ""
    return f"{mean:{sign}.4f}" + (f" [{low:{sign}.4f}, {high:{sign}.4f}]" if low < high else "")  # else of one seed
