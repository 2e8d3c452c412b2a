"""The yaml files that come with archsearch, as names and as text."""

import re
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

_ROOT = files("archsearch.conf")


@cache
def option_names(group: str) -> tuple[str, ...]:
    """Returns the files of a group of settings (`task`, `experiment`, …), sorted; none if there is no such group."""
    folder = _ROOT / group
    if not folder.is_dir():
        return ()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")))


def is_group(name: str) -> bool:
    """Tells whether there are files to choose from under a name, such as `task` or `task@screen.task`."""
    return bool(option_names(name.partition("@")[0]))


def settings_text(command: str) -> str:
    """Returns the settings of a command as their file says them, without the part for Hydra."""
    text = (_ROOT / f"{command}.yaml").read_text(encoding="utf-8")
    return re.sub(r"^defaults:\n(?:[ ]+.*\n)+\n*", "", text, flags=re.MULTILINE).strip()


def did_you_mean(name: str, known: list[str] | tuple[str, ...], key: str = "") -> str:
    """Returns ` Did you mean …?` with the nearest known names, or nothing."""
    close = get_close_matches(name[:200], known, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(key + match for match in close)}?" if close else ""
