"""Drawings and formulas of a layer's cell on disk, and the check that they are well-formed."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import FileFormatError
from archsearch.graph.cell_graph import CellGraph

_SVG = "{http://www.w3.org/2000/svg}svg"
_TEXT = r'"(?:[^"\\]|\\.)*"'
_DOT_NODE, _DOT_EDGE = rf"    (\w+) \[label={_TEXT}, shape=\w+\];", rf"    (\w+) -> (\w+)(?: \[label={_TEXT}\])?;"
_MERMAID_NODE, _MERMAID_EDGE = rf"    (\w+)[(\[{{]+{_TEXT}[)\]}}]+", r"    (\w+) -->(?:\|[^|]*\|)? (\w+)"


def write_drawing(draw: Callable[[CellGraph], str], layer: RecurrentLayer, path: Path) -> None:
    """Writes what a function draws of the cell."""
    path.write_text(draw(layer.cell), encoding="utf-8")


def verify_svg(_layer: RecurrentLayer, path: Path) -> str:
    """Parses the file as XML.

    Raises:
        FileFormatError: It is no SVG.
    """
    try:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314  (written a moment ago)
    except ElementTree.ParseError as error:
        raise FileFormatError(f"{path}: expected well-formed XML, got {error}. Report it with the cell.") from error
    if root.tag != _SVG:
        raise FileFormatError(f"{path}: expected an svg element of its namespace, got {root.tag}. Report it.")
    return f"well-formed, {sum(1 for _ in root.iter())} elements"


def verify_latex(layer: RecurrentLayer, path: Path) -> str:
    """Checks brackets, the frame, and that each equation of the cell has its line.

    Raises:
        FileFormatError: One of them is amiss.
    """
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("%")]
    depth = 0
    for bracket in re.findall(r"(?<!\\)[{}]", "\n".join(lines)):
        depth += 1 if bracket == "{" else -1
        if depth < 0:
            break
    if depth:
        raise FileFormatError(f"{path}: expected as many closing braces as opening ones. Report it with the cell.")
    if lines[:1] != [r"\begin{align*}"] or lines[-1:] != [r"\end{align*}"]:
        raise FileFormatError(f"{path}: expected one align* block. Report it with the cell.")
    equations = [line for line in layer.cell.equations().splitlines() if not line.startswith("states:")]
    found = sum("&=" in line for line in lines)
    if found != len(equations):
        raise FileFormatError(f"{path}: expected {len(equations)} equations, got {found}. Report it with the cell.")
    return f"well-formed, {found} equations"


def verify_drawing(node: str, edge: str, layer: RecurrentLayer, path: Path) -> str:
    """Reads all lines but the frame as nodes and edges, and counts them.

    Args:
        node: A pattern for the line of a node, with its identifier.
        edge: A pattern for the line of an edge, with the identifiers of its ends.
        layer: What was drawn.
        path: The file.

    Raises:
        FileFormatError: A line is neither, an edge ends at no node, or the counts are not the cell's.
    """
    nodes: set[str] = set()
    num_edges = 0
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    for line in lines:
        if found := re.fullmatch(edge, line):
            num_edges += 1
            if not nodes.issuperset(found.groups()):
                raise FileFormatError(f"{path}: the edge {line.strip()!r} ends at no node. Report it with the cell.")
        elif found := re.fullmatch(node, line):
            nodes.add(found.group(1))
        elif line != "}":
            raise FileFormatError(f"{path}: expected a node or an edge, got {line!r}. Report it with the cell.")
    expected = layer.cell.graph.number_of_nodes(), layer.cell.graph.number_of_edges()
    if (len(nodes), num_edges) != expected:
        raise FileFormatError(f"{path}: expected {expected} nodes and edges, got {len(nodes), num_edges}. Report it.")
    return f"well-formed, {len(nodes)} nodes and {num_edges} edges"


verify_dot = partial(verify_drawing, _DOT_NODE, _DOT_EDGE)
verify_mermaid = partial(verify_drawing, _MERMAID_NODE, _MERMAID_EDGE)
