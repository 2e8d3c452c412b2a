"""A cell in the languages of drawing programs: Mermaid and Graphviz DOT."""

from collections.abc import Collection, Iterator

from archsearch.drawing.labels import SYMBOLS, affine_label, start_texts
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import INPUT, Node

CHANGED = "#d55e00"  # vermilion, told apart by nearly everyone


def to_mermaid(cell: CellGraph, highlighted: Collection[str] = ()) -> str:
    """Returns a Mermaid flowchart, as Markdown viewers show it; highlighted nodes and new states have thick edges."""
    ids = _ids(cell)
    lines = ["flowchart TD"]
    lines += [f'    {ids[name]}(["{name}"])' for name in (INPUT, *cell.states)]
    for name, node in cell.nodes.items():
        label = _label(node).replace("#", "#35;").replace('"', "#quot;")
        opening, closing = ("{{", "}}") if node.primitive == "peephole" else ("[", "]")
        lines.append(f'    {ids[name]}{opening}"{label}"{closing}')
    lines += [f'''    {ids[f"{state}'"]}(["{state}'"])''' for state in cell.states]
    for operand, user, label in _edges(cell):
        arrow = f"-->|{label}|" if label else "-->"
        lines.append(f"    {ids[operand]} {arrow} {ids[user]}")
    marked = [ids[name] for name in ids if name in highlighted]
    if marked:
        lines += [f"    classDef changed stroke:{CHANGED},stroke-width:4px", f"    class {','.join(marked)} changed"]
    return "\n".join(lines) + "\n"


def to_dot(cell: CellGraph, highlighted: Collection[str] = ()) -> str:
    """Returns a Graphviz digraph; highlighted nodes and new states have thick edges."""
    ids = _ids(cell)

    def vertex(name: str, label: str, shape: str) -> str:
        escaped = label.replace("\\", "\\\\").replace('"', '\\"')
        mark = f', color="{CHANGED}", penwidth=3' if name in highlighted else ""
        return f'    {ids[name]} [label="{escaped}", shape={shape}{mark}];'

    lines = ["digraph cell {"]
    lines += [vertex(name, name, "ellipse") for name in (INPUT, *cell.states)]
    for name, node in cell.nodes.items():
        lines.append(vertex(name, _label(node), "hexagon" if node.primitive == "peephole" else "box"))
    lines += [vertex(f"{state}'", f"{state}'", "ellipse") for state in cell.states]
    for operand, user, label in _edges(cell):
        lines.append(f"    {ids[operand]} -> {ids[user]}" + (f' [label="{label}"];' if label else ";"))
    return "\n".join([*lines, "}"]) + "\n"


def _ids(cell: CellGraph) -> dict[str, str]:
    """Returns an identifier for each value: names of cells may be words of the drawing language (`end`, `node`)."""
    names = (INPUT, *cell.states, *cell.nodes, *(f"{state}'" for state in cell.states))
    return {name: f"v{number}" for number, name in enumerate(names)}


def _label(node: Node) -> str:
    if node.primitive in {"linear", "peephole"}:
        no_bias = ["no bias"] if node.primitive == "linear" and not node.bias else []
        texts = [text for text in start_texts(node) if text != "bias"]  # said where it is missing
        return " ".join([node.primitive, *([node.weights] if node.weights else []), *texts, *no_bias])
    if node.primitive == "affine":
        return affine_label(node, "a")
    return SYMBOLS.get(node.primitive, node.primitive)


def _edges(cell: CellGraph) -> Iterator[tuple[str, str, str]]:
    """Yields operand, user, and for the operands of a difference their places."""
    for name, node in cell.nodes.items():
        for slot, operand in enumerate(node.operands):
            yield operand, name, "ab"[slot] if node.primitive == "sub" else ""
    for state, value in cell.new_states.items():
        yield value, f"{state}'", ""
