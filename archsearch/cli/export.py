"""`archsearch export`: takes a cell away."""

import os
from pathlib import Path

from archsearch.cli.cell_choice import ChosenCell, choose_cell
from archsearch.cli.composition import compose_settings
from archsearch.cli.configuration_files import did_you_mean
from archsearch.cli.evaluate import print_point
from archsearch.cli.exits import LateError
from archsearch.cli.export_usage import usage
from archsearch.cli.new_files import check_writable, put_in_place
from archsearch.cli.one_trial import plan_trial, values_of_run
from archsearch.cli.section import Section
from archsearch.cli.words import TypedSetting, parse_words
from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ArchSearchError, ConfigError
from archsearch.export.copies import as_read
from archsearch.export.formats import FORMATS, check_formats, check_num_weights
from archsearch.export.fresh_layer import fresh_layer
from archsearch.export.names import class_name, module_name
from archsearch.export.python_file import write_python
from archsearch.export.python_source import export_python
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.cost import count_parameters
from archsearch.training.evaluate import Evaluator
from archsearch.trials.simple_predictors import SimplePredictors
from archsearch.trials.task import Task
from archsearch.trials.trial import Trial
from archsearch.trials.value_texts import value_text

ALL = "all"
MAX_WEIGHTS = 1_000_000_000  # 4 GB
_FRESH = ("input_size", "hidden_size", "num_layers", "bidirectional", "seed")  # what fresh weights are made of


def run(words: list[str]) -> int:
    """Writes the files, compares each with the layer, and says what to do with them; returns the exit code."""
    typed = parse_words("export", words)
    root = Section(compose_settings("export", typed).values)
    formats = _formats(root)
    if root.flag("trained"):
        _refuse_fresh(typed)
        # nobody trains a cell to throw its weights away
        formats = formats if "safetensors" in formats else (*formats, "safetensors")
    check_formats(formats, root.flag("bidirectional"))
    chosen = choose_cell(root)
    trained = _plan_training(chosen, root) if root.flag("trained") else None
    graph = trained[0].graph if trained else chosen.graph
    if trained is None and "task" in root:
        raise ConfigError("task: expected with trained=yes only. Fresh weights belong to no task.")
    called = root.text("name") if "name" in root else class_name(chosen.name)
    export_python(graph, called)  # a name that cannot be is seen before anything is made
    sizes = {name: root.integer(name, 1) for name in ("input_size", "hidden_size", "num_layers")}
    _check_size(formats, graph, **sizes, num_directions=1 + root.flag("bidirectional"))
    stem = Path(root.text("out")) / module_name(chosen.name)
    files = {name: stem.with_name(stem.name + FORMATS[name].ending) for name in formats}
    for path in files.values():
        check_writable(path)
    if trained:
        layer = _train(*trained)
    else:
        layer = fresh_layer(graph, **sizes, bidirectional=root.flag("bidirectional"), seed=root.integer("seed", 0))
    layer = as_read(layer)
    width = max(len(str(path)) for path in files.values())
    for name, path in files.items():
        print(f"Wrote {path!s:<{width}}  {_write_and_verify(name, layer, path, called)}", flush=True)
    lines = usage(files, called, layer, _cell_in_python(root, chosen, layer))
    if lines:
        print(lines)
    return 0


def _check_size(
    formats: tuple[str, ...],
    graph: CellGraph,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    num_directions: int,
) -> None:
    """Checks that a layer fits into a memory, and into files.

    Raises:
        ConfigError: It does not.
    """
    first = count_parameters(graph.structure, input_size, hidden_size)
    upper = count_parameters(graph.structure, num_directions * hidden_size, hidden_size)
    num_weights = num_directions * (first + (num_layers - 1) * upper)
    if num_weights > MAX_WEIGHTS:
        raise ConfigError(
            f"hidden_size: expected a layer of at most {MAX_WEIGHTS:,} weights, got {num_weights:,}. "
            f"Lower hidden_size, input_size or num_layers."
        )
    check_num_weights(formats, num_weights)


def _formats(root: Section) -> tuple[str, ...]:
    formats = root.texts("format")
    if formats == (ALL,):
        return tuple(FORMATS)
    if ALL in formats:
        raise ConfigError(f"format: expected {ALL} alone, as it has every format, got {list(formats)}.")
    for name in formats:
        if name not in FORMATS:
            known = (*FORMATS, ALL)
            raise ConfigError(f"format: expected some of {', '.join(known)}, got '{name}'.{did_you_mean(name, known)}")
    if not formats or len(set(formats)) < len(formats):
        raise ConfigError(f"format: expected each of {', '.join(FORMATS)} at most once, got {list(formats)}.")
    return formats


def _write_and_verify(name: str, layer: RecurrentLayer, path: Path, called: str) -> str:
    """Writes one file, under its name only once it is seen to be right, and returns how it compares.

    Raises:
        LateError: It is not what the layer is, cannot be written, or has been overtaken by another file.
    """
    unfinished = path.with_name(f".unfinished_{os.getpid()}{FORMATS[name].ending}")
    try:
        if name == "python":
            write_python(layer, unfinished, called)
        else:
            FORMATS[name].write(layer, unfinished)
        compared = _compare(name, layer, unfinished)
        put_in_place(unfinished, path)
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    except ArchSearchError as error:
        if isinstance(error.__cause__, OSError):
            raise _cannot_be_written(path, error.__cause__) from error
        raise LateError(str(error).replace(str(unfinished), str(path))) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return compared


def _compare(name: str, layer: RecurrentLayer, path: Path) -> str:
    found = FORMATS[name].verify(layer, path)
    if isinstance(found, str):
        return found
    allowed = FORMATS[name].allowed(layer)
    if not found <= allowed:
        raise LateError(
            f"{path}: expected the numbers of the layer within {allowed:.2g}, got a difference of {found:.1e}. No file "
            f"was left; please report the cell, {layer.cell.digest}, and the command line."
        )
    return f"equal to the layer within {found:.1e}"


def _cannot_be_written(path: Path, error: OSError) -> LateError:
    return LateError(
        f"{path}: cannot be written: {error.strerror or error}. Nothing was left of it. Make room, or choose another "
        "folder with out=…"
    )


def _refuse_fresh(typed: list[TypedSetting]) -> None:
    """Checks that nothing was typed that trained weights cannot follow.

    Raises:
        ConfigError: A size, a direction or a seed was.
    """
    given = [setting.key for setting in typed if setting.key in _FRESH]
    if given:
        raise ConfigError(
            f"{', '.join(given)}: expected with trained=no only. The best trial of the run says what trained weights "
            "are: their sizes, one direction, and the seed. Leave it out, or export fresh weights."
        )


def _plan_training(chosen: ChosenCell, root: Section) -> tuple[Trial, Task, Evaluator]:
    """Returns the trial of the run in which the cell did best on the task.

    Raises:
        ConfigError: There is no run, or no such trial in it.
    """
    if chosen.run is None:
        raise ConfigError(
            "trained=yes: expected run=…, whose best setting for the cell is used. To train with settings of your own, "
            "use 'archsearch evaluate' with save=…"
        )
    tasks = list(root.section("task").values) if "task" in root else list(chosen.run.tasks)
    if len(tasks) != 1:
        raise ConfigError(f"trained=yes: expected task=…, one of the run's: {', '.join(chosen.run.tasks)}.")
    return plan_trial(values_of_run(chosen.run, chosen.graph.digest, tasks[0]), chosen)


def _train(trial: Trial, task: Task, evaluator: Evaluator) -> RecurrentLayer:
    """Trains and returns the layers as they were at the best validation."""
    print(f"training {trial.cell} on {trial.task}, at most {trial.max_steps} steps, {trial.setting.key}", flush=True)
    evaluation = evaluator.evaluate_keeping_model(trial, print_point)
    if evaluation.model is None:
        raise LateError(
            f"trained=yes: the training gave no weights: {evaluation.result.status} {evaluation.result.error}"
        )
    metric, value = evaluation.result.metric, evaluation.result.value
    test_value = evaluation.test_value
    assert value is not None  # there are weights, so they were validated
    simple = SimplePredictors.of_task(task)
    on_test = "beyond all bounds" if test_value is None else value_text(test_value, 4)
    print(f"validation {metric} {value_text(value, 4)}, test {metric} {on_test}")
    print(f"what is no network, on the same validation data: {simple}. {simple.warning(value)}".rstrip())
    return evaluation.model.layers


def _cell_in_python(root: Section, chosen: ChosenCell, layer: RecurrentLayer) -> str:
    """Returns Python for the cell under whose names the weights are kept."""
    if chosen.run is None and chosen.graph == layer.cell:
        return repr(root.text("cell"))
    if chosen.run is None:
        return f"CellGraph.from_equations(load_cell({root.text('cell')!r}).equations())"
    return f"CellGraph.from_equations(load_run({root.text('run')!r}).cell({layer.cell.digest!r}).equations())"
