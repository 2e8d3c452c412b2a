"""What was typed for all tasks and does not reach one, because the experiment has a value of its own for it."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from archsearch.cli.words import TypedSetting

_COMMON = "search."


def warn_of_overruled(values: Mapping[str, Any], typed: list[TypedSetting]) -> None:
    """Says for each option typed as `search.…` which tasks keep another value. The screen's are always its own.

    Args:
        values: As `settle` returns them.
        typed: The options of the command line.
    """
    typed_keys = {setting.key for setting in typed}
    for setting in typed:
        if not setting.key.startswith(_COMMON):
            continue
        own = {
            where: value
            for where, value in _values_at(values, setting.key.removeprefix(_COMMON))
            if value not in (setting.value, [setting.value]) and f"{where}.{setting.key}" not in typed_keys
        }
        if own:
            kept = ", ".join(f"{where}.{setting.key}={value}" for where, value in own.items())
            print(
                f"archsearch: {setting.key}={setting.value} does not hold for every task: experiment="
                f"{values['experiment']} has {kept}. Type that, too.",
                file=sys.stderr,
            )


def _values_at(values: Mapping[str, Any], key: str) -> Iterator[tuple[str, object]]:
    """Yields the value that each task has of a part of `search`, if any."""
    for name, entry in values["task"].items():
        found: Any = entry["search"]
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if found is not None:
            yield f"task.{name}", found
