"""Which names of a cell's values a person gave."""

import re

from archsearch.graph.primitives import PRIMITIVES

_MACHINE_NAME = re.compile(rf"(?:{'|'.join(PRIMITIVES)})(?:_?[0-9]+)?")


def is_given(name: str) -> bool:
    """Tells whether a person chose a name; those that a program gives are a primitive and a number.

    A primitive alone is none, either: no equation can define it.
    """
    return not _MACHINE_NAME.fullmatch(name)
