"""Foreign names made into names that equations, files and exported sources can carry."""

import keyword
import re
from collections.abc import Collection, Iterable

from archsearch.graph.checks import MAX_NAME, is_name

MAX_LENGTH = MAX_NAME - 16  # room for the numbers of matrices and for what tells two names apart


def safe_names(names: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """Returns for each name one of its own that is safe: itself where it can be.

    Args:
        names: Any texts, all different.
        taken: Names that none may get.
    """
    names = list(names)
    safe = {name: name for name in names if _is_safe(name) and name not in taken}
    used = {*safe.values(), *taken}
    for name in names:
        if name not in safe:
            safe[name] = _unused(_cleaned(name), used)
            used.add(safe[name])
    return safe


def _is_safe(name: str) -> bool:
    return is_name(name) and len(name) <= MAX_LENGTH and not keyword.iskeyword(name) and not keyword.issoftkeyword(name)


def _cleaned(name: str) -> str:
    return "n_" + re.sub(r"[^A-Za-z0-9]+", "_", name[:MAX_LENGTH]).strip("_") if name else "n"


def _unused(name: str, used: Collection[str]) -> str:
    number, candidate = 1, name[:MAX_LENGTH]
    while candidate in used:
        number += 1
        candidate = f"{name[: MAX_LENGTH - 8]}_{number}"
    return candidate
