"""`archsearch resume`: continues a run, or extends it."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archsearch.cli.composition import compose_settings
from archsearch.cli.configuration_files import CONFIG_FOLDER, did_you_mean, is_group, own_folder_words
from archsearch.cli.planning import plan_search
from archsearch.cli.recording import recorded_folders, with_recorded
from archsearch.cli.run_configuration import founder_graph, from_yaml, to_yaml
from archsearch.cli.running import program, run_to_end, warn_of_short_lookahead
from archsearch.cli.section import Section
from archsearch.cli.words import TypedSetting, parse_words
from archsearch.compiler.engines import choose_engine
from archsearch.errors import ConfigError
from archsearch.graph.catalog import load_cell
from archsearch.run.folder import RunFolder

GUARDS = ("time_limit_seconds", "memory_limit_mb", "max_equal_failures")
OWN_KEYS = ("run", "budget.candidates", "recorded", "workers", "ray.address", "grace_seconds", *GUARDS)
_MISSING = object()
_PLAIN = re.compile(r"[A-Za-z][A-Za-z_./-]*")  # nothing that a shell or Hydra reads otherwise


def run(words: list[str]) -> int:
    """Continues a search with the configuration it was started with; returns the exit code."""
    typed = parse_words("resume", words)
    root = Section(compose_settings("resume", [setting for setting in typed if setting.key in OWN_KEYS]).values)
    folder = RunFolder.open_begun(Path(root.text("run")))
    values = from_yaml(folder.read_config(), folder.config_path)
    _refuse_changes(values, [setting for setting in typed if setting.key not in OWN_KEYS], folder)
    extended = _extend(values, root, folder)
    if "recorded" in root:
        extended["recorded"] = recorded_folders(root)
    planned = plan_search({**extended, **_execution(typed)})
    planned = with_recorded(planned, folder.path, must_be_there="recorded" in root)
    warn_of_short_lookahead(planned)

    def begin() -> None:
        if extended != values:
            folder.write_config(to_yaml(extended))
        folder.note_command(["archsearch", "resume", *own_folder_words(), *words])

    return run_to_end(planned, folder, says_cost=False, begin=begin)


def _execution(typed: list[TypedSetting]) -> dict[str, Any]:
    """Returns how this sitting computes its trials, as far as it was typed; the run keeps none of it."""
    values = {setting.key: setting.value for setting in typed}
    changed = {key: values[key] for key in ("workers", "grace_seconds") if values.get(key) is not None}
    changed |= {key: values[key] for key in GUARDS if key in values}  # null is a value here: no limit
    return {**changed, **({"ray": {"address": values["ray.address"]}} if "ray.address" in values else {})}


def _extend(values: Mapping[str, Any], root: Section, folder: RunFolder) -> dict[str, Any]:
    """Returns the configuration with the new number of candidates, if one was given."""
    if "candidates" not in root.section("budget"):
        return dict(values)
    before = Section(values).section("budget").integer("candidates", 1)
    after = root.section("budget").integer("candidates", 1)
    if after < before:
        raise ConfigError(
            f"budget.candidates: expected at least the {before} that the run {folder.path} has, got {after}. "
            f"A run can be extended, not shortened."
        )
    return {**values, "budget": {**values["budget"], "candidates": after}}


def _refuse_changes(values: Mapping[str, Any], typed: list[TypedSetting], folder: RunFolder) -> None:
    """Checks that what was typed besides is what the run was started with.

    Raises:
        ConfigError: Something differs, or is no setting of the run.
    """
    changes = []
    for setting in typed:
        kept = _kept_value(values, setting.key, folder)
        if kept is _MISSING:
            known = (*OWN_KEYS, *values)
            raise ConfigError(
                f"archsearch resume: there is no setting '{setting.key}'.{did_you_mean(setting.key, known)} "
                f"Expected {', '.join(OWN_KEYS)}."
            )
        if _comparable(setting.key, setting.value) != kept:
            changes.append(f"{setting.key}: {_shown(kept)} → {_shown(setting.value)}")
    if changes:
        raise ConfigError(
            f"{folder.path}: a run goes on as it began. Changed, kept → typed: {'; '.join(changes)}. Leave these out; "
            f"or start a new run, which trains nothing again that this one has trained with the same seed, tasks, "
            f"recipe and steps: {program()} search {shlex.join(_words_of_new_search(folder, typed))}"
        )


def _words_of_new_search(folder: RunFolder, typed: list[TypedSetting]) -> list[str]:
    """Returns the settings that the run was started with, what was typed now in their place, without a name."""
    try:
        first = shlex.split(folder.read_commands().partition("\n")[0])
    except ValueError:  # somebody has written into the file
        first = []
    replaced = {"name", "recorded", CONFIG_FOLDER, *(setting.key for setting in typed)}
    kept = [word for word in first[2:] if word.lstrip("+~").partition("=")[0] not in replaced]
    words = [_word(setting) for setting in typed]
    return [*(kept if first[:2] == ["archsearch", "search"] else ()), f"recorded={folder.path}", *words]


def _word(setting: TypedSetting) -> str:
    plain = isinstance(setting.value, str) and _PLAIN.fullmatch(setting.value)
    return f"{setting.sign}{setting.key}={setting.value if plain else setting.source}"


def _kept_value(values: Mapping[str, Any], key: str, folder: RunFolder) -> object:
    """Returns what the run holds for a setting as it is typed, `_MISSING` if nothing."""
    if key == "name":
        return folder.name
    if key == "task":
        return list(values["task"])
    if is_group(key) and key != "experiment":
        return values.get(key)
    if key == "founders":
        return [founder_graph(entry).digest for entry in values["founders"]]
    if key.startswith("search."):
        of_tasks = [_lookup(values, f"task.{name}.{key}") for name in values["task"]]
        return of_tasks[0] if all(value == of_tasks[0] for value in of_tasks) else of_tasks
    return _lookup(values, key)


def _lookup(values: Mapping[str, Any], key: str) -> object:
    node: object = values
    for part in key.split("."):
        node = node.get(part, _MISSING) if isinstance(node, Mapping) else _MISSING
    return node


def _comparable(key: str, value: object) -> object:
    if is_group(key) and isinstance(value, str) and key != "experiment":
        return compose_settings("search", parse_words("search", [f"{key}={value}"])).values.get(key)
    if key == "engine":
        return choose_engine(str(value))
    if key == "founders" and isinstance(value, list):
        return [load_cell(str(reference)).digest for reference in value]
    return value


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, int | float) else repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
