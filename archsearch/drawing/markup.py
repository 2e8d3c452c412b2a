"""A cell in the languages of drawing programs: Mermaid and Graphviz DOT."""

from collections.abc import Iterator

from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import INPUT, Node

_SYMBOLS = {"add": "+", "sub": "-", "mul": "*"}


def to_mermaid(cell: CellGraph) -> str:
    """Returns a Mermaid flowchart, as Markdown viewers show it."""
    ids = _ids(cell)
    lines = ["flowchart TD"]
    lines += [f'    {ids[name]}(["{name}"])' for name in (INPUT, *cell.states)]
    lines += [f'    {ids[name]}["{_label(node)}"]' for name, node in cell.nodes.items()]
    lines += [f'''    {ids[f"{state}'"]}(["{state}'"])''' for state in cell.states]
    for operand, user, label in _edges(cell):
        arrow = f"-->|{label}|" if label else "-->"
        lines.append(f"    {ids[operand]} {arrow} {ids[user]}")
    return "\n".join(lines) + "\n"


def to_dot(cell: CellGraph) -> str:
    """Returns a Graphviz digraph."""
    ids = _ids(cell)
    lines = ["digraph cell {"]
    lines += [f'    {ids[name]} [label="{name}", shape=ellipse];' for name in (INPUT, *cell.states)]
    lines += [f'    {ids[name]} [label="{_label(node)}", shape=box];' for name, node in cell.nodes.items()]
    lines += [f'''    {ids[f"{state}'"]} [label="{state}'", shape=ellipse];''' for state in cell.states]
    for operand, user, label in _edges(cell):
        lines.append(f"    {ids[operand]} -> {ids[user]}" + (f' [label="{label}"];' if label else ";"))
    return "\n".join([*lines, "}"]) + "\n"


def _ids(cell: CellGraph) -> dict[str, str]:
    """Returns an identifier for each value: names of cells may be words of the drawing language (`end`, `node`)."""
    names = (INPUT, *cell.states, *cell.nodes, *(f"{state}'" for state in cell.states))
    return {name: f"v{number}" for number, name in enumerate(names)}


def _label(node: Node) -> str:
    if node.primitive == "linear":
        diagonal = f" diagonal {node.diagonal:g}" if node.diagonal else ""
        return f"linear{diagonal}{'' if node.bias else ' no bias'}"
    return _SYMBOLS.get(node.primitive, node.primitive)


def _edges(cell: CellGraph) -> Iterator[tuple[str, str, str]]:
    """Yields operand, user, and for the operands of a difference their places."""
    for name, node in cell.nodes.items():
        for slot, operand in enumerate(node.operands):
            yield operand, name, "ab"[slot] if node.primitive == "sub" else ""
    for state, value in cell.new_states.items():
        yield value, f"{state}'", ""
