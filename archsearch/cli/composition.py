"""From typed settings to one configuration, with errors that teach. The only file that composes with Hydra."""

from dataclasses import dataclass
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from archsearch.cli.configuration_files import did_you_mean, is_group, option_names, own_folder
from archsearch.cli.words import TypedSetting
from archsearch.errors import ConfigError

PLACEHOLDER = "???"
NEEDS_TASK = ("evaluate", "task check")


@dataclass(frozen=True)
class Composed:
    """A configuration with nothing left to be worked out.

    Attributes:
        values: Plain dicts, lists and scalars; `???` where a setting must be given and was not.
        choices: The file chosen in each group that has one choice, such as `experiment`.
    """

    values: dict[str, Any]
    choices: dict[str, str]


def compose_settings(command: str, typed: list[TypedSetting]) -> Composed:
    """Returns the settings of a command.

    Raises:
        ConfigError: A setting or a choice is unknown, or two of them do not fit together.
    """
    _check_choices(command, typed)
    try:
        config = _compose(command, [_override(setting) for setting in typed])
        own_keys = [str(key) for key in config if key != "hydra"]
        values = OmegaConf.to_container(OmegaConf.masked_copy(config, own_keys), resolve=True)
    except (HydraException, OmegaConfBaseException, OSError, ValueError, RecursionError) as error:
        raise ConfigError(_explain(command, typed, error)) from error
    assert isinstance(values, dict)  # the root of every file is a mapping
    choices = {str(key): str(value) for key, value in config.hydra.runtime.choices.items() if "hydra/" not in str(key)}
    return Composed({str(key): value for key, value in values.items()}, choices)


def _compose(command: str, overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    own = own_folder()
    if own is not None:
        overrides = [f"hydra.searchpath=[file://{own}]", *overrides]
    with initialize_config_module("archsearch.conf", version_base="1.3", job_name=command):
        return compose(command.replace(" ", "_"), overrides=overrides, return_hydra_config=True)


def _override(setting: TypedSetting) -> str:
    """Returns a word for Hydra; parts of `search` that only the common `search` names may be added to each task."""
    if setting.sign == "" and ".search." in setting.key:
        return "++" + setting.override
    return setting.override


def _check_choices(command: str, typed: list[TypedSetting]) -> None:
    for setting in typed:
        if setting.key.split(".")[0].split("/")[0] == "hydra":
            raise ConfigError(f"{setting.key}: Hydra's own settings have no effect here. Leave it out.")
        if not is_group(setting.key):
            continue
        names = option_names(setting.key.partition("@")[0])
        chosen = setting.value if isinstance(setting.value, list) else [setting.value]
        for choice in chosen:
            if choice not in names:
                raise ConfigError(
                    f"archsearch {command}: there is no {setting.key}={choice}.{did_you_mean(str(choice), names)} "
                    f"Expected {'some' if setting.key == 'task' else 'one'} of: {', '.join(names)}."
                )


def _explain(command: str, typed: list[TypedSetting], error: Exception) -> str:
    """Returns what is wrong: the first setting that does not exist, or what Hydra says in one line."""
    choices = [setting.override for setting in typed if is_group(setting.key)]
    lacks_task = command in NEEDS_TASK and "task" not in {setting.key for setting in typed}
    try:
        # any task will do to learn the other settings
        known = _flat_keys(
            _compose(command, [*choices, f"task=[{option_names('task')[0]}]"] if lacks_task else choices)
        )
    except (HydraException, OmegaConfBaseException, OSError, ValueError):
        known = []
    for setting in typed:
        of_task = lacks_task and setting.key.startswith("task.")
        if known and setting.sign == "" and setting.key not in known and not is_group(setting.key) and not of_task:
            return (
                f"archsearch {command}: there is no setting '{setting.key}'.{_hint(setting.key, known)} "
                f"'archsearch {command} --help' lists the settings."
            )
    if lacks_task:
        names = ", ".join(option_names("task"))
        return f"archsearch {command}: expected task=…, got none. Choose one of: {names}."
    return f"archsearch {command}: {str(error).strip().splitlines()[0]}"


def _hint(key: str, known: list[str]) -> str:
    """Returns what may have been meant by a setting that does not exist."""
    section, _, leaf = key.rpartition(".")
    parts = key.split(".")
    if parts[0] == "task" and len(parts) > 2 and parts[1] in option_names("task") and f"task.{parts[1]}" not in known:
        return f" Task '{parts[1]}' is not chosen: add it to task=[…], or leave the setting out."
    siblings = [name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == section]
    prefix = f"{section}." if section else ""
    namesakes = sorted((name for name in known if name.rpartition(".")[2] == leaf), key=len)
    if namesakes:
        return f" Did you mean {' or '.join(namesakes[:4])}?"
    if section and siblings:
        return did_you_mean(leaf, siblings, prefix) or f" {section} has: {', '.join(siblings)}."
    return did_you_mean(key, known)


def _flat_keys(config: Any, prefix: str = "") -> list[str]:
    """Returns the dotted names of all settings, sections included."""
    keys: list[str] = []
    for key in config:
        if prefix or key != "hydra":
            keys.append(f"{prefix}{key}")
            if OmegaConf.is_dict(config) and OmegaConf.is_dict(config._get_node(key)):
                keys += _flat_keys(config[key], f"{prefix}{key}.")
    return keys
