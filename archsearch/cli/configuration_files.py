"""The yaml files that come with archsearch, and those of a folder of the user's, as names and as text."""

import os
import re
import sys
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from archsearch.errors import ConfigError
from archsearch.trials.user_files import absolute_path

CONFIG_FOLDER = "--config-dir"

_ROOT = files("archsearch.conf")
_GROUP = re.compile(r"\w{1,64}", re.ASCII)
_own_folders: list[Path] = []  # one at the most; the command line is read once


def take_config_folder(words: list[str]) -> list[str]:
    """Returns the words without `--config-dir FOLDER`, whose yaml and Python files are then found here and by workers.

    Raises:
        ConfigError: There is no such folder.
    """
    _own_folders.clear()
    option_names.cache_clear()
    rest = list(words)
    for place, word in enumerate(words):
        if word != CONFIG_FOLDER and not word.startswith(CONFIG_FOLDER + "="):
            continue
        value = word.partition("=")[2] or "".join(words[place + 1 : place + 2])
        folder = absolute_path(CONFIG_FOLDER, value)
        if not value or not folder.is_dir():
            raise ConfigError(f"{CONFIG_FOLDER}: expected a folder with task/NAME.yaml, got {value!r}.")
        del rest[place : place + (1 if "=" in word else 2)]
        _own_folders.append(folder)
        sys.path.insert(0, str(folder))
        paths = [str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)  # for workers
        break
    return rest


def own_folder() -> Path | None:
    """Returns the folder that `--config-dir` named."""
    return _own_folders[0] if _own_folders else None


def own_folder_words() -> list[str]:
    """Returns the words that name it again; none if it was not named."""
    return [f"{CONFIG_FOLDER}={folder}" for folder in _own_folders]


@cache
def option_names(group: str) -> tuple[str, ...]:
    """Returns the files of a group of settings (`task`, `experiment`, …), sorted; none if there is no such group."""
    if not _GROUP.fullmatch(group):
        return ()
    roots = [_ROOT, *_own_folders]
    folders = [root / group for root in roots if (root / group).is_dir()]
    names = {file.name for folder in folders for file in folder.iterdir() if file.name.endswith(".yaml")}
    return tuple(sorted(name.removesuffix(".yaml") for name in names))


def is_group(name: str) -> bool:
    """Tells whether there are files to choose from under a name, such as `task` or `task@screen.task`."""
    return bool(option_names(name.partition("@")[0]))


def settings_text(command: str) -> str:
    """Returns the settings of a command as their file says them, without the part for Hydra."""
    text = (_ROOT / f"{command.replace(' ', '_')}.yaml").read_text(encoding="utf-8")
    return re.sub(r"^defaults:\n(?:[ ]+.*\n)+\n*", "", text, flags=re.MULTILINE).strip()


def did_you_mean(name: str, known: list[str] | tuple[str, ...], key: str = "") -> str:
    """Returns ` Did you mean …?` with the nearest known names, or nothing."""
    close = get_close_matches(name[:200], known, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(key + match for match in close)}?" if close else ""
