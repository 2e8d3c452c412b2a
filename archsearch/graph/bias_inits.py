"""First values of biases, such as a forget bias, as an attribute of a cell or of a reference to one."""

import math
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

from archsearch.errors import ConfigError
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.checks import MAX_CONSTANT
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.source_text import is_number
from archsearch.graph.structure import Node


def with_bias_init(cell: CellGraph, values: Mapping[str, float]) -> CellGraph:
    """Returns the cell with other values of its biases before training.

    A cell whose biases start elsewhere is another cell with another digest, as LSTM-b of Jozefowicz 2015 is.

    Args:
        cell: The cell, which stays as it is.
        values: By the name of weights, or of the node where its weights have none, as `load_weights` takes them. Where
            `linear(a, b, name=forget)` makes several matrices, `forget` is their one bias.

    Raises:
        ConfigError: No weights have such a name, they have no bias or several, or a value is no finite number of
            sensible size.
    """
    nodes = dict(cell.structure.nodes)
    for name, value in values.items():
        key = _bias_owner(nodes, name)
        nodes[key] = replace(nodes[key], bias_init=_checked(name, value))
    return CellGraph.from_structure(replace(cell.structure, nodes=nodes))


def split_reference(reference: str) -> tuple[str, dict[str, float]]:
    """Splits `lstm_torch:forget=2,input=-1` into what names a cell and the first values of its biases.

    A reference that ends otherwise, such as a path with a colon, comes back whole.

    Raises:
        ConfigError: What follows the colon has an equals sign and cannot be read.
    """
    cell, colon, text = reference.rpartition(":")
    if not colon or "=" not in text or "/" in text or "\\" in text:
        return reference, {}
    values: dict[str, float] = {}
    for assignment in text.split(","):
        name, equals, number = (part.strip() for part in assignment.partition("="))
        if not name or not equals:
            raise ConfigError(_misread(reference, f"got {assignment!a}"))
        if name in values:
            raise ConfigError(_misread(reference, f"got {name!a} twice"))
        if not is_number(number):
            raise ConfigError(_misread(reference, f"{number!a} is no number"))
        values[name] = float(number)
    return cell, values


def _bias_owner(nodes: Mapping[str, Node], name: str) -> str:
    """Returns the node whose bias a name means: the one of that name, or of `NAME_1`, `NAME_2` and so on."""
    weights = {key: node.weights or key for key, node in nodes.items() if PRIMITIVES[node.primitive].has_weights}
    named = [key for key, own in weights.items() if own == name]
    if not named and name:
        named = [key for key in weights if _base(nodes[key].weights) == name]
    biased = [key for key in weights if nodes[key].primitive == "linear" and nodes[key].bias]
    owners = [key for key in named if key in biased]
    if len(owners) == 1:
        return owners[0]
    if owners:
        several = ", ".join(weights[key] for key in owners)
        raise ConfigError(f"bias {name!a}: expected the name of one bias, got that of {several}. Choose one.")
    bases = [_base(nodes[key].weights) for key in biased]
    known = [
        base if base and bases.count(base) == 1 and base not in weights.values() else weights[key]
        for key, base in zip(biased, bases, strict=True)
    ]  # what a person would call a bias: the base of its name where nothing else is called so
    listed = f"Biases of this cell: {', '.join(known) or 'none'}."
    if named:
        raise ConfigError(f"bias {name!a}: these weights have no bias. {listed}")
    close = get_close_matches(name[:64], known, n=1)
    hint = f" Did you mean {close[0]!a}?" if close else ""
    raise ConfigError(f"bias {name[:80]!a}: no weights of this cell have that name.{hint} {listed}")


def _base(weights: str) -> str:
    base, _, number = weights.rpartition("_")
    return base if number.isdecimal() else ""


def _checked(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"bias {name!a}: expected a finite number, got {value!r}. Correct it.")
    if abs(value) > MAX_CONSTANT:
        raise ConfigError(f"bias {name!a}: expected a number of at most {MAX_CONSTANT:g} in size, got {value:g}.")
    return float(value)


def _misread(reference: str, found: str) -> str:
    expected = "expected NAME=NUMBER, with commas between several, behind the colon: lstm_torch:forget=1,input=-1"
    return f"cell {reference[:200]!a}: {expected}; {found}."
