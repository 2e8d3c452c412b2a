"""Cells as JSON, with a version."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn

from archsearch.errors import FileFormatError
from archsearch.graph.checks import is_name
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.structure import INPUT, Node, Structure

FORMAT = "archsearch-cell"
VERSION = 1
MAX_TEXT = 1_000_000

_FIELDS = ("format", "version", "states", "nodes", "new_states")
_NODE_FIELDS = ("name", "primitive", "operands")


def structure_to_json(structure: Structure) -> str:
    """Returns the JSON form, one node a line; `structure_from_json` reads it back."""
    nodes = ",\n".join("    " + json.dumps(_node_record(name, node)) for name, node in structure.nodes.items())
    new_states = {state: structure.new_states[state] for state in structure.states}
    return (
        "{\n"
        f'  "format": "{FORMAT}",\n'
        f'  "version": {VERSION},\n'
        f'  "states": {json.dumps(structure.states)},\n'
        '  "nodes": [' + (f"\n{nodes}\n  " if nodes else "") + "],\n"
        f'  "new_states": {json.dumps(new_states)}\n'
        "}\n"
    )


def structure_from_json(text: str) -> Structure:
    """Reads the JSON form. The cell may still break rules that `checks` knows.

    Raises:
        FileFormatError: The text is no JSON, no cell file, or of another version.
    """
    record = _load(text)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        _fail(f'expected an object with "format": "{FORMAT}"', "Is it a cell file?")
    if type(record.get("version")) is not int or record["version"] != VERSION:
        _fail(f"expected version {VERSION}, got {_shown(record.get('version'))}", "Read it with a matching archsearch.")
    _require_fields("the file", record, _FIELDS)
    states = tuple(_name("states", state) for state in _list("states", record["states"]))
    nodes: dict[str, Node] = {}
    for position, item in enumerate(_list("nodes", record["nodes"])):
        name, node = _read_node(f"nodes[{position}]", item)
        if name in nodes:
            _fail(f"nodes[{position}]: a second node is called {name!a}", "Rename one.")
        nodes[name] = node
    _require_distinct(states, nodes)
    new_states = record["new_states"]
    if not isinstance(new_states, dict) or sorted(new_states) != sorted(states):
        _fail("new_states: expected an object with one entry for each state", f"States: {', '.join(states)}.")
    known = {INPUT, *states, *nodes}
    for state, value in new_states.items():
        _require_known(f"new_states[{state!a}]", [value], known)
    for name, node in nodes.items():
        _require_known(f"node {name!a}", node.operands, known)
    return Structure(states, nodes, {state: new_states[state] for state in states})


def _node_record(name: str, node: Node) -> dict[str, Any]:
    record: dict[str, Any] = {"name": name, "primitive": node.primitive, "operands": node.operands}
    record |= node.attributes()
    if "bias" in record:
        record["bias"] = bool(node.bias)
    return record


def _load(text: str) -> Any:
    if len(text) > MAX_TEXT:
        _fail(f"expected at most {MAX_TEXT:,} characters, got {len(text):,}", "Is it a cell file?")
    try:
        # as editors on Windows write it
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_distinct_fields, parse_constant=_no_constant)
    except RecursionError:
        raise FileFormatError("cell file: nested too deeply to be one. Is it a cell file?") from None
    except ValueError as error:
        raise FileFormatError(f"cell file: expected JSON, got text that is none ({error}).") from error


def _distinct_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        _fail(f"the field {_shown(repeated)} stands twice in one object", "Keep one.")
    return record


def _no_constant(constant: str) -> NoReturn:
    _fail(f"{constant} is no number that a cell can have", "Write a finite number.")


def _read_node(where: str, item: Any) -> tuple[str, Node]:
    if not isinstance(item, dict):
        _fail(f"{where}: expected an object, got {_shown(item)}", "A node has name, primitive and operands.")
    row = PRIMITIVES.get(str(item.get("primitive")))
    attributes = row.attributes if row else ()
    _require_fields(where, item, (*_NODE_FIELDS, *attributes))
    name = _name(f"{where}.name", item["name"])
    primitive = _text(f"{where}.primitive", item["primitive"])
    operands = tuple(_text(f"{where}.operands", value) for value in _list(f"{where}.operands", item["operands"]))
    own = {key: _attribute(f"{where}.{key}", key, item[key]) for key in attributes}
    return name, Node(primitive, operands, **own)


def _attribute(where: str, key: str, value: Any) -> Any:
    if key == "weights":
        return _text(where, value)
    return _truth(where, value) if key == "bias" else _number(where, value)


def _require_fields(where: str, record: dict[str, Any], fields: tuple[str, ...]) -> None:
    missing = [field for field in fields if field not in record]
    unknown = [field for field in record if field not in fields]
    if missing:
        _fail(f"{where}: lacks {', '.join(missing)}", f"Its fields are {', '.join(fields)}.")
    if unknown:
        _fail(f"{where}: unknown field {_shown(unknown[0])}", f"Its fields are {', '.join(fields)}.")


def _require_distinct(states: tuple[str, ...], nodes: Iterable[str]) -> None:
    taken = {INPUT}
    for name in (*states, *nodes):
        if name in taken:
            _fail(f"the name {name!a} stands for two values", "x, the states and the nodes need different names.")
        taken.add(name)


def _require_known(where: str, values: Iterable[Any], known: set[str]) -> None:
    for value in values:
        if not isinstance(value, str) or value not in known:
            _fail(f"{where}: {_shown(value)} is neither x nor a state nor a node", "Correct the name.")


def _list(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        _fail(f"{where}: expected a list, got {_shown(value)}", "Correct it.")
    return value


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        _fail(f"{where}: expected text, got {_shown(value)}", "Correct it.")
    return value


def _name(where: str, value: Any) -> str:
    if isinstance(value, str) and value in PRIMITIVES:
        _fail(f"{where}: {_shown(value)} is the name of a primitive", "Rename it.")
    if not isinstance(value, str) or not is_name(value):
        _fail(f"{where}: expected a name (letters, digits, underscore), got {_shown(value)}", "Rename it.")
    return value


def _truth(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        _fail(f"{where}: expected true or false, got {_shown(value)}", "Correct it.")
    return value


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _fail(f"{where}: expected a number, got {_shown(value)}", "Correct it.")
    try:
        return float(value)
    except OverflowError:
        _fail(f"{where}: expected a number, got one too large for floating point", "Correct it.")


def _shown(value: Any) -> str:
    """Returns a value for a message: short, and printable on any terminal."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return json.dumps(value)[:60]


def _fail(found: str, advice: str) -> NoReturn:
    raise FileFormatError(f"cell file: {found}. {advice}")
