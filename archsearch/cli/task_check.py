"""`archsearch task check`: whether a task is what it should be, before a search is spent on it."""

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from archsearch.cli.cell_choice import choose_cell
from archsearch.cli.composition import compose_settings
from archsearch.cli.evaluate import print_point
from archsearch.cli.exits import DONE, FAILED
from archsearch.cli.one_trial import plan_trial, typed_values
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.errors import ConfigError
from archsearch.trials.simple_predictors import SimplePredictors
from archsearch.trials.task import Batch, Task
from archsearch.trials.trial import Recipe
from archsearch.trials.value_texts import value_text

SHOWN_STEPS = 60
LEAK_STEPS = 20
LEAK_BATCHES = 2_000
MAX_STRETCHES = 1_000_000
MAX_LEAKED_SHARE = 0.05


def run(words: list[str]) -> int:
    """Prints what the task is, looks for leaks, and trains a GRU for some steps; returns the exit code."""
    typed = parse_words("task check", words)
    composed = compose_settings("task check", typed)
    chosen = choose_cell(Section(composed.values))
    values = typed_values(composed, typed)
    trial, task, evaluator = plan_trial(values, chosen)
    epoch = task.epoch_steps(trial.recipe.batch_size, trial.recipe.unroll)
    print(f"{task.name}: {task.interface}")
    print(f"metric: {task.metric}")
    for note in task.notes():
        print(f"note: {note}")
    if task.symbols:
        print(f"vocabulary of {_listed(task.symbols)}")
    if task.classes != task.symbols:
        print(f"classes, {_listed(task.classes)}")
    _print_sizes(task, trial.recipe)
    _print_example(task, trial.recipe)
    simple = SimplePredictors.of_task(task)
    for name, value in simple.values.items():
        print(f"{name}: {task.metric.name} {value_text(value, 4)} on validation data")
    ceiling = task.ceiling()
    print(f"ceiling: {'not known' if ceiling is None else f'{ceiling:.4f}'}")
    _print_leaks(task, trial.recipe)
    milliseconds = _batch_milliseconds(task, trial.recipe)
    often = _validated_often(values, trial.max_steps)
    if epoch > trial.max_steps // 2 and often is not None:
        trial, _, evaluator = plan_trial(often, chosen)
        print(f"In a search, validations are {epoch:,} steps apart; here, less.")
    print(f"{chosen.name} for {trial.max_steps} steps, {trial.setting.key}", flush=True)
    result = evaluator.evaluate_keeping_model(trial, print_point).result
    if result.steps:
        step = 1000 * result.seconds / result.steps
        print(f"making a batch takes {milliseconds:.2f} ms; a step with its share of validation {step:.2f} ms")
    code = _verdict(result.status, result.error, [loss for _, loss, _ in result.curve])
    if result.value is not None and (as_good := simple.at_least_as_good_as(result.value)):
        print(
            f"But {', '.join(as_good)} did as well as its best validation, {value_text(result.value, 4)}, or better: "
            "try more steps=… or another setting.learning_rate before a search is spent on it."
        )
    return code


def _validated_often(values: Mapping[str, Any], max_steps: int) -> dict[str, Any] | None:
    """Returns the configuration with some validations within the steps; None if the task's cannot be set."""
    ((name, fields),) = values["task"].items()
    if "epoch" not in fields:
        return None
    return {**values, "task": {name: {**fields, "epoch": max(1, max_steps // 4)}}}


def _verdict(status: str, error: str, losses: list[float]) -> int:
    if status != "ok":
        print(f"The training ended early: {status} {error}. Try a smaller setting.learning_rate.")
        return FAILED
    if len(losses) < 2:
        print("One validation shows no fall of the loss. Take more steps=…, twice those between validations at least.")
        return FAILED
    if not losses[-1] < losses[0]:
        print(
            "The training loss did not fall. Try more steps=…, another setting.learning_rate, or look at the example "
            "above: can anybody tell what is asked for?"
        )
        return FAILED
    print(f"The training loss fell from {losses[0]:.4f} to {losses[-1]:.4f}: the task can be searched on.")
    return DONE


def _print_sizes(task: Task, recipe: Recipe) -> None:
    batch = next(task.training(0, recipe.batch_size, recipe.unroll))
    print(
        f"a training batch: inputs {list(batch.inputs.shape)}, targets {list(batch.targets.shape)}, "
        f"{int(batch.scored.sum())} of {batch.scored.size} positions scored; "
        f"{task.epoch_steps(recipe.batch_size, recipe.unroll):,} steps between validations"
    )
    for split in ("validation", "test"):
        batches = list(task.held_out(split, recipe.batch_size, recipe.unroll))
        num_scored = sum(int(batch.scored.sum()) for batch in batches)
        print(f"{split}: {len(batches):,} batches, {num_scored:,} scored positions")
        if not num_scored:
            raise ConfigError(f"task {task.name}: expected scored positions in the {split} data, got none.")


def _print_example(task: Task, recipe: Recipe) -> None:
    """Prints the first sequence of the first batch: what is read, what is asked for, dots where nothing is."""
    batch = next(task.training(0, recipe.batch_size, recipe.unroll))
    inputs, targets, scored = (array[:SHOWN_STEPS, 0] for array in (batch.inputs, batch.targets, batch.scored))
    asked_for = batch.targets[:, 0][batch.scored[:, 0]]
    if task.interface.num_symbols:
        print(f"example, read     {_shown(task.decode(inputs.tolist()))}")
    else:
        print(f"example, read     {_numbers(inputs)}")
    if task.classes and task.classes == task.symbols:
        asked = [task.symbols[target] if counts else "." for target, counts in zip(targets, scored, strict=True)]
        print(f"example, predict  {_shown(task.separator.join(asked))}")
    elif task.classes:
        print(f"example, predict  {_shown(' '.join(task.classes[target] for target in asked_for[:SHOWN_STEPS]))}")
    else:
        print(f"example, predict  {_numbers(asked_for)}")


def _listed(names: Sequence[str]) -> str:
    """Returns how many there are, and the first."""
    shown = " ".join(_shown(name) for name in names[:40])
    return f"{len(names):,}: {shown}{' …' if len(names) > 40 else ''}"


def _shown(text: str) -> str:
    return repr(text)[1:-1]


def _numbers(array: np.ndarray) -> str:
    rows = array[:6].reshape(len(array[:6]), -1)
    shown = (" ".join(f"{number:.3g}" for number in row[:6]) + (" …" if len(row) > 6 else "") for row in rows)
    return " | ".join(shown) + (" | …" if len(array) > 6 else "")


def _print_leaks(task: Task, recipe: Recipe) -> None:
    """Prints which share of held-out stretches stand in the training data, too, step for step."""
    seen: set[int] = set()
    for batch in itertools.islice(task.training(0, recipe.batch_size, recipe.unroll), LEAK_BATCHES):
        seen.update(map(hash, _stretches(batch, 1)))
        if len(seen) > MAX_STRETCHES:
            break
    for split in ("validation", "test"):
        held_out = task.held_out(split, recipe.batch_size, recipe.unroll)
        stretches = [stretch for batch in held_out for stretch in _stretches(batch, LEAK_STEPS)]
        leaked = sum(hash(stretch) in seen for stretch in stretches)
        share = leaked / max(1, len(stretches))
        verdict = "a leak, unless the data repeat themselves" if share > MAX_LEAKED_SHARE else "no leak seen"
        print(f"{split}: {leaked:,} of {len(stretches):,} stretches stand in the training data, too: {verdict}")


def _stretches(batch: Batch, apart: int) -> list[bytes]:
    """Returns each sequence's inputs and targets in stretches of `LEAK_STEPS` scored or unscored steps.

    Args:
        batch: Of any split.
        apart: Steps between the beginnings of two stretches: 1 for all there are, so that copies are found wherever
            they begin.
    """
    stretches = []
    for number in range(batch.scored.shape[1]):
        steps = np.flatnonzero(batch.scored[:, number])
        if not len(steps):
            continue
        end = int(steps[-1]) + 1
        for start in range(0, max(1, end - LEAK_STEPS + 1), apart):
            piece = slice(start, min(start + LEAK_STEPS, end))
            stretches.append(batch.inputs[piece, number].tobytes() + batch.targets[piece, number].tobytes())
    return stretches


def _batch_milliseconds(task: Task, recipe: Recipe, count: int = 50) -> float:
    batches = task.training(1, recipe.batch_size, recipe.unroll)
    next(batches)
    start = time.perf_counter()
    for _ in itertools.islice(batches, count):
        pass
    return 1000 * (time.perf_counter() - start) / count
