"""`archsearch evaluate`: trains one cell on one task."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from archsearch.cli.cell_choice import ChosenCell, choose_cell
from archsearch.cli.composition import compose_settings
from archsearch.cli.exits import FAILED, LateError
from archsearch.cli.new_files import check_writable, put_in_place, unfinished_beside
from archsearch.cli.one_trial import ENDLESS, overlay, plan_trial, typed_values, values_of_run
from archsearch.cli.running import program
from archsearch.cli.section import Section
from archsearch.cli.words import TypedSetting, parse_words
from archsearch.errors import ArchSearchError
from archsearch.export.weights import save_weights, texts_of_cell
from archsearch.training.evaluate import Evaluation
from archsearch.training.schedule import next_learning_rate
from archsearch.training.trainer import CurvePoint
from archsearch.trials.simple_predictors import SimplePredictors
from archsearch.trials.task import Task
from archsearch.trials.trial import Trial, TrialResult
from archsearch.trials.value_texts import value_text

PREDICTS_FROM = {"series": "input=FILE.csv", "text": "prompt='…'"}  # what `predict` wants, by the reader's kind


def run(words: list[str]) -> int:
    """Trains the cell, prints its curve as it grows and the result; returns the exit code."""
    typed = parse_words("evaluate", words)
    composed = compose_settings("evaluate", typed)
    root = Section(composed.values)
    chosen = choose_cell(root)
    trial, task, evaluator = plan_trial(_values(typed_values(composed, typed), typed, chosen), chosen)
    target = Path(root.text("save")) if "save" in root else None
    if target:
        check_writable(target)
    simple, ceiling = SimplePredictors.of_task(task), task.ceiling()
    most = "until the schedule ends" if trial.max_steps == ENDLESS else f"at most {trial.max_steps} steps"
    print(f"{chosen.name} ({trial.cell}) on {trial.task}, {most}, {trial.setting.key}")
    print(
        f"{task.metric}; {simple}, ceiling {'not known' if ceiling is None else f'{ceiling:.4f}'}",
        flush=True,
    )
    for note in task.notes():
        print(f"note: {note}", flush=True)
    evaluation = evaluator.evaluate_keeping_model(trial, print_point)
    print_result(evaluation, trial, task, simple)
    if evaluation.model is None:
        return FAILED
    if target:
        _save(evaluation, trial, task, simple, target)
    return 0


def print_point(point: CurvePoint) -> None:
    """Prints how far a training has come."""
    print(f"step {point.step:>7,}  loss {point.loss:.4f}  validation {value_text(point.value, 4)}", flush=True)


def print_result(evaluation: Evaluation, trial: Trial, task: Task, simple: SimplePredictors) -> None:
    """Prints what came of a training."""
    result, ceiling = evaluation.result, task.ceiling()
    most = "" if trial.max_steps == ENDLESS else f" of at most {trial.max_steps:,}"
    print(
        f"{result.status} after {result.steps:,}{most} steps in {result.seconds:.1f} s; "
        f"{result.parameters:,} parameters, {result.hidden_size} units"
    )
    if result.status == "ok" and not _schedule_ended(result, trial, task):
        epochs = result.steps / _epoch_steps(trial, task)
        print(
            f"these were {epochs:.1f} epochs: the schedule of the learning rate was not at its end; steps=null trains "
            "until it is"
        )
    if result.error:
        print(result.error)
    if result.value is None:
        return
    line = f"best validation {result.metric} {value_text(result.value, 4)}"
    if ceiling is not None and ceiling != (chance := _chance(task, simple)):
        line += f", {max(0.0, (result.value - chance) / (ceiling - chance)):.0%} of the way from chance to ceiling"
    print(f"{line}. {simple.warning(result.value)}" if simple.better_than(result.value) else line)
    if evaluation.test_value is not None:
        others = [
            f"{name} {value_text(value, 4)}" for name, value in evaluation.test_values.items() if name != result.metric
        ]
        test = f"{result.metric} of those weights {value_text(evaluation.test_value, 4)}"
        print(f"test {', '.join([test, *others])}")


def _schedule_ended(result: TrialResult, trial: Trial, task: Task) -> bool:
    epoch_steps = _epoch_steps(trial, task)
    qualities = [task.metric.quality(value) for step, _, value in result.curve if step % epoch_steps == 0]
    return next_learning_rate(trial.setting.learning_rate, qualities, trial.recipe) is None


def _epoch_steps(trial: Trial, task: Task) -> int:
    return task.epoch_steps(trial.recipe.batch_size, trial.recipe.unroll)


def _chance(task: Task, simple: SimplePredictors) -> float:
    return simple.values["chance"] if "chance" in simple.values else task.chance()


def _save(evaluation: Evaluation, trial: Trial, task: Task, simple: SimplePredictors, target: Path) -> None:
    """Writes the model's weights and what they are of; the cell as `save_weights` does for a layer."""
    assert evaluation.model is not None  # the caller has looked
    metadata = {
        **texts_of_cell(trial.graph),
        "task": trial.task,
        "setting": trial.setting.key,
        "model": json.dumps({"num_layers": trial.setting.num_layers, "interface": asdict(task.interface)}),
        "reader": json.dumps(task.reader()),
        "baselines": json.dumps(simple.values),
        "steps": str(evaluation.result.steps),
        "metric": evaluation.result.metric,
        "validation_value": str(evaluation.result.value),
        "test_value": str(evaluation.test_value),
    }
    unfinished = unfinished_beside(target)
    try:
        save_weights(evaluation.model, unfinished, metadata)
        put_in_place(unfinished, target)
    except ArchSearchError as error:
        raise LateError(str(error).replace(str(unfinished), str(target))) from error
    finally:
        unfinished.unlink(missing_ok=True)
    print(f"Embedding, layers and readout of the best validation: {target}")
    use = PREDICTS_FROM.get(task.reader().get("kind", ""))
    if use is not None:
        print(f"See what it predicts: {program()} predict {shlex.quote(f'model={target}')} {use}")


def _values(values: dict[str, Any], typed: list[TypedSetting], chosen: ChosenCell) -> dict[str, Any]:
    """Returns the configuration of the training: with a run, its own before the defaults."""
    if chosen.run is None:
        return values
    (task,) = values["task"]
    kept = values_of_run(chosen.run, chosen.graph.digest, task)
    return overlay(kept, [setting for setting in typed if setting.key != "task"])
