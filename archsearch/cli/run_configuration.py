"""The configuration a run keeps: complete, without leftovers, and independent of where it was typed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from archsearch.cli.composition import Composed
from archsearch.cli.construction import TARGET
from archsearch.cli.recording import recorded_folders
from archsearch.cli.section import Section
from archsearch.cli.words import TypedSetting
from archsearch.errors import ConfigError, FileFormatError
from archsearch.graph.catalog import cell_name, load_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.search.outcome import MAX_NAME
from archsearch.trials.user_files import absolute_path

NOT_KEPT = ("name", "results_dir")
MAX_VALUES = 20_000
SEARCH_KEYS = ("max_steps", "num_settings", "num_baseline_settings", "space")


def settle(composed: Composed, typed: list[TypedSetting]) -> dict[str, Any]:
    """Returns the configuration that a run keeps.

    Tasks that were not chosen are dropped; each task has the whole of its `search`; founders are held as equations, so
    that a file may change or go; paths are absolute.

    Raises:
        ConfigError: A founder cannot be read, or an option was typed for a task that was not chosen.
    """
    root = Section(composed.values)
    common = root.section("search")
    values = {key: value for key, value in composed.values.items() if key not in (*NOT_KEPT, "search")}
    values["experiment"] = composed.choices["experiment"]
    values["founders"] = [_founder(reference) for reference in root.texts("founders")]
    values["recorded"] = recorded_folders(root)
    if values["checkpoint_cache"] not in (None, "auto"):
        values["checkpoint_cache"] = str(absolute_path("checkpoint_cache", root.text("checkpoint_cache")))
    values["task"] = chosen_tasks(root, typed)
    for name, entry in values["task"].items():
        entry["search"] = _with_common(common.values, entry.get("search"), f"task.{name}.search")
    if "screen" in root:
        screen = dict(root.section("screen").values)
        screen["search"] = _with_common(common.values, screen.get("search"), "screen.search")
        values["screen"] = screen
    return values


def chosen_tasks(root: Section, typed: list[TypedSetting]) -> dict[str, dict[str, Any]]:
    """Returns the entries of the tasks that were chosen; the others are options without a task.

    Raises:
        ConfigError: An option was typed for a task that was not chosen.
    """
    entries = root.section("task").values if "task" in root else {}
    chosen = {
        name: _absolute(name, entry)
        for name, entry in entries.items()
        if isinstance(entry, Mapping) and TARGET in entry
    }
    for setting in typed:
        parts = setting.key.split(".")
        if parts[0] == "task" and len(parts) > 1 and parts[1] not in chosen:
            raise ConfigError(
                f"{setting.key}: '{parts[1]}' is not among the tasks ({', '.join(chosen) or 'none'}). "
                f"Choose it with task=[{','.join([*chosen, parts[1]])}], or leave the setting out."
            )
    return chosen


def to_yaml(values: Mapping[str, Any]) -> str:
    """Returns the configuration as a file holds it."""
    return str(yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))


def from_yaml(text: str, path: Path) -> dict[str, Any]:
    """Reads what `to_yaml` wrote.

    Raises:
        FileFormatError: The text is no configuration.
    """
    try:
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise FileFormatError(
            f"{path}: expected the configuration of a run, got {' '.join(str(error).split())}."
        ) from error
    if not isinstance(values, dict) or not isinstance(values.get("task"), dict):
        raise FileFormatError(f"{path}: expected the configuration of a run with its tasks, found none.")
    return values


def _founder(reference: str) -> dict[str, str]:
    name = "".join(character if character.isprintable() else "_" for character in cell_name(reference))
    return {"name": name[:MAX_NAME], "equations": load_cell(reference).equations()}


def founder_graph(entry: Mapping[str, Any]) -> CellGraph:
    """Returns the canonical graph of a kept founder."""
    return CellGraph.from_equations(Section(entry, "founders").text("equations")).canonical()


def _absolute(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    path = entry.get("path")
    if not isinstance(path, str) or not path:
        return dict(entry)
    return {**entry, "path": str(absolute_path(f"task.{name}.path", path))}


def _with_common(common: Mapping[str, Any], own: object, where: str) -> dict[str, Any]:
    """Returns a task's `search`: its own values before those for all tasks."""
    if own is None:
        own = {}
    if not isinstance(own, Mapping):
        raise ConfigError(f"{where}: expected settings of its own, got {own!r}. Try {where}.max_steps=1000.")
    Section(own, where).refuse_unknown(SEARCH_KEYS)
    own_space = own.get("space") or {}
    if not isinstance(own_space, Mapping):
        raise ConfigError(f"{where}.space: expected settings of its own, got {own_space!r}.")
    common_space = Section(common, "search").section("space").values
    return {**common, **own, "space": {**common_space, **own_space}}


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml comes without types
    """Reads a bounded number of values, and no aliases: a few lines of them can stand for more than memory holds."""

    num_values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        self.num_values += 1
        if self.num_values > MAX_VALUES:  # each takes PyYAML some 0.1 ms
            raise yaml.YAMLError(f"found more than {MAX_VALUES:,} values, far more than a configuration has")
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("found an alias, which archsearch never writes")
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # yaml comes without types
    """Writes lists on one line and texts of several lines as blocks."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.Node:
        scalars = all(not isinstance(element, dict | list) for element in sequence)
        return super().represent_sequence(tag, sequence, flow_style=scalars if flow_style is None else flow_style)

    def represent_str(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - a value that comes twice is written twice
        return True


_Dumper.add_representer(str, _Dumper.represent_str)
