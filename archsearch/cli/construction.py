"""Objects out of `_target_` entries: the class is looked up and judged before anything of it is called."""

import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any, TypeVar

from archsearch.cli.configuration_files import CONFIG_FOLDER, did_you_mean, own_folder
from archsearch.errors import ConfigError

TARGET = "_target_"
MAX_TARGET = 200

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
# Importing a module runs it, and some of Python's own do more than define things; none has a class of ours.
_NEVER_IMPORTED = sys.stdlib_module_names | {"__main__"}

T = TypeVar("T")


def build_object(entry: Mapping[str, Any], base: type[T], where: str, **given: object) -> T:
    """Builds a frozen dataclass from the fields of an entry.

    Args:
        entry: `_target_`, the class as `package.module.Class`, and values of its fields.
        base: What the class must be a subclass of.
        where: The entry's place in the configuration, for messages.
        **given: Fields that the configuration does not set.

    Raises:
        ConfigError: The target is no such class, a field is unknown or missing, or the class refuses a value.
    """
    cls = _resolve(entry.get(TARGET), base, where)
    values = {key: value for key, value in entry.items() if key != TARGET}
    settable = tuple(field.name for field in fields(cls) if field.init and field.name not in given)  # type: ignore[arg-type]
    for key in values:
        if key not in settable:
            raise ConfigError(
                f"{where}: there is no setting '{key}'.{did_you_mean(key, settable)} "
                f"It has: {', '.join(settable) or 'none'}."
            )
    try:
        return cls(**values, **given)
    except ConfigError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{where}: {cls.__name__} cannot be made of these settings: {error}.") from error


def _resolve(target: object, base: type[T], where: str) -> type[T]:
    """Returns the class that a target names.

    Raises:
        ConfigError: It names nothing, or something else than a concrete subclass of `base`.
    """
    text = str(target)[:MAX_TARGET]
    module, _, name = text.rpartition(".")
    expected = f"{where}.{TARGET}: expected the path of a {base.__name__}, package.module.Class, got {text!r}."
    no_subclass = f"That is no concrete subclass of {base.__module__}.{base.__name__}."
    if not _PATH.fullmatch(text) or module.partition(".")[0] in _NEVER_IMPORTED:
        raise ConfigError(f"{expected} {no_subclass}")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # a module that is no part of archsearch may raise anything when it is imported
        hint = f" Is it in a folder of yours? Name that with {CONFIG_FOLDER} FOLDER." if own_folder() is None else ""
        raise ConfigError(f"{expected} Importing it says: {type(error).__name__}: {error}.{hint}") from error
    if not (isinstance(found, type) and issubclass(found, base)) or inspect.isabstract(found):
        raise ConfigError(f"{expected} {no_subclass}")
    return found
