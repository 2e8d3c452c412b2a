"""`archsearch export`: takes a cell away."""

import keyword
import sys
from pathlib import Path

from archsearch.cli.cell_choice import ChosenCell, choose_cell
from archsearch.cli.composition import compose_settings
from archsearch.cli.configuration_files import did_you_mean
from archsearch.cli.evaluate import print_point
from archsearch.cli.exits import LateError
from archsearch.cli.new_files import check_writable
from archsearch.cli.one_trial import plan_trial, values_of_run
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError
from archsearch.export.fresh_layer import fresh_layer
from archsearch.export.python_source import export_python
from archsearch.export.weights import save_weights
from archsearch.training.evaluate import Evaluator
from archsearch.trials.trial import Trial

ENDINGS = {"python": ".py", "safetensors": ".safetensors"}


def run(words: list[str]) -> int:
    """Writes the files and says what to do with them; returns the exit code."""
    root = Section(compose_settings("export", parse_words("export", words)).values)
    formats = _formats(root)
    if root.flag("trained") and "safetensors" not in formats:
        formats = (*formats, "safetensors")  # nobody trains a cell to throw its weights away
    chosen = choose_cell(root)
    trained = _plan_training(chosen, root) if root.flag("trained") else None
    graph = trained[0].graph if trained else chosen.graph
    if trained is None and "task" in root:
        raise ConfigError("task: expected with trained=yes only. Fresh weights belong to no task.")
    class_name = root.text("name") if "name" in root else _class_name(chosen.name)
    source = export_python(graph, class_name)
    sizes = {name: root.integer(name, 1) for name in ("input_size", "hidden_size", "num_layers")}
    files = {name: Path(root.text("out")) / f"{_module_name(chosen.name)}{ENDINGS[name]}" for name in formats}
    for path in files.values():
        check_writable(path)
    layer = _train(*trained) if trained else fresh_layer(graph, **sizes, seed=root.integer("seed", 0))
    if "python" in files:
        files["python"].write_text(source, encoding="utf-8")
    if "safetensors" in files:
        save_weights(layer, files["safetensors"])
    print("\n".join(f"Wrote {path}" for path in files.values()))
    print(_usage(files, class_name, layer, root))
    return 0


def _formats(root: Section) -> tuple[str, ...]:
    formats = root.texts("format")
    for name in formats:
        if name not in ENDINGS:
            known = tuple(ENDINGS)
            raise ConfigError(f"format: expected some of {', '.join(known)}, got '{name}'.{did_you_mean(name, known)}")
    if not formats or len(set(formats)) < len(formats):
        raise ConfigError(f"format: expected each of {', '.join(ENDINGS)} at most once, got {list(formats)}.")
    return formats


def _plan_training(chosen: ChosenCell, root: Section) -> tuple[Trial, Evaluator]:
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
    trial, _, evaluator = plan_trial(values_of_run(chosen.run, chosen.graph.digest, tasks[0]), chosen)
    return trial, evaluator


def _train(trial: Trial, evaluator: Evaluator) -> RecurrentLayer:
    """Trains and returns the layers as they were at the best validation."""
    print(f"training {trial.cell} on {trial.task}, at most {trial.max_steps} steps, {trial.setting.key}", flush=True)
    evaluation = evaluator.evaluate_keeping_model(trial, print_point)
    if evaluation.model is None:
        raise LateError(
            f"trained=yes: the training gave no weights: {evaluation.result.status} {evaluation.result.error}"
        )
    print(f"validation accuracy {evaluation.result.accuracy:.4f}, test accuracy {evaluation.test_accuracy:.4f}")
    return evaluation.model.layers


def _module_name(name: str) -> str:
    """Returns a name that can be imported and hides nobody else's module."""
    plain = "".join(character if character.isalnum() else "_" for character in name)
    taken = keyword.iskeyword(plain) or plain in sys.stdlib_module_names or plain in {"torch", "numpy", "safetensors"}
    return f"cell_{plain}" if taken or not plain.isidentifier() else plain


def _class_name(name: str) -> str:
    """Returns `Mut1` for `mut1`, `LstmTorch` for `lstm_torch`, `Cell3fd76a2e4cfa2f9a` for an id."""
    if name.startswith("c_"):
        return f"Cell{name.removeprefix('c_')}"
    camel = "".join(part[:1].upper() + part[1:] for part in _module_name(name).split("_"))
    return camel if camel[:1].isalpha() else f"Cell{camel}"


def _usage(files: dict[str, Path], class_name: str, layer: RecurrentLayer, root: Section) -> str:
    """Returns what to type next."""
    sizes = f"input_size={layer.input_size}, hidden_size={layer.hidden_size}, num_layers={layer.num_layers}"
    lines = [f"Use it where {'nn.GRU' if len(layer.cell.states) == 1 else 'nn.LSTM'} stood:"]
    if "python" in files:
        lines += [f"  from {files['python'].stem} import {class_name}", f"  layer = {class_name}({sizes})"]
    else:
        cell = (
            f"load_run({root.text('run')!r}).cell({layer.cell.digest!r})" if "run" in root else repr(root.text("cell"))
        )
        lines += [
            f"  from archsearch import RecurrentLayer{', load_run' if 'run' in root else ''}",
            f"  layer = RecurrentLayer({cell}, {sizes})",
        ]
    if "safetensors" in files:
        lines += [
            "  from safetensors.torch import load_file",
            f"  layer.load_state_dict(load_file({str(files['safetensors'])!r}))",
        ]
    return "\n".join(lines)
