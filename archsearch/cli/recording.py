"""The setting `recorded`: other runs whose trials a search need not train again."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.cli.section import Section
from archsearch.errors import ConfigError
from archsearch.run.recorded import look_into
from archsearch.trials.user_files import absolute_path

if TYPE_CHECKING:
    from archsearch.cli.planning import PlannedSearch


def recorded_folders(root: Section) -> list[str]:
    """Returns the absolute paths of a setting `recorded`: one folder, or several with commas between them."""
    if "recorded" not in root:
        return []
    value = root.values["recorded"]
    if isinstance(value, str) and not _is_folder(value):
        value = value.removeprefix("[").removesuffix("]").split(",")
    paths = Section({"recorded": value if isinstance(value, list) else [value]}).texts("recorded")
    return [str(absolute_path("recorded", path.strip("'\" "))) for path in dict.fromkeys(paths)]


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # too long, or a null character
        return False


def with_recorded(planned: "PlannedSearch", own: Path | None = None, *, must_be_there: bool = True) -> "PlannedSearch":
    """Looks into the other runs and says what they hold.

    Args:
        planned: The search.
        own: The folder of its run, if it exists.
        must_be_there: False for a run that goes on: what it was answered before is in its own journal, so another run
            that is gone is only told of, and no longer asked.

    Raises:
        ConfigError: One is no whole run.
    """
    usable = []
    for path in planned.execution.recorded:
        try:
            (found,) = look_into([path], planned.plan, own)
        except ConfigError as error:
            if must_be_there:
                raise
            print(f"archsearch: {error} This run goes on without it.", file=sys.stderr)
        else:
            print(f"Recorded in {found}")
            usable.append(path)
    return replace(planned, execution=replace(planned.execution, recorded=tuple(usable)))
