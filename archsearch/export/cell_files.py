"""The cell of a layer as JSON or equations, read back after writing."""

from functools import partial
from pathlib import Path

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.agreement import largest_difference
from archsearch.export.copies import empty_copy, in_double
from archsearch.export.python_file import run
from archsearch.graph.cell_graph import CellGraph


def write_json(layer: RecurrentLayer, path: Path) -> None:
    """Writes the JSON form."""
    path.write_text(layer.cell.to_json(), encoding="utf-8")


def write_equations(layer: RecurrentLayer, path: Path) -> None:
    """Writes the equations."""
    path.write_text(layer.cell.equations(), encoding="utf-8")


def verify_json(layer: RecurrentLayer, path: Path) -> float:
    """Reads the JSON form back; see `difference_of`."""
    return difference_of(layer, CellGraph.from_json(path.read_text(encoding="utf-8")))


def verify_equations(layer: RecurrentLayer, path: Path) -> float:
    """Reads the equations back; see `difference_of`."""
    return difference_of(layer, CellGraph.from_equations(path.read_text(encoding="utf-8")))


def difference_of(layer: RecurrentLayer, cell: CellGraph) -> float:
    """Returns how far a layer of a cell that was read back is from the layer, in float64 and with its `state_dict`.

    Infinite if the digests differ, or the names of the weights. Equations number weights that nobody named: a layer
    that is written so must be one that `as_read` gave.
    """
    if cell.digest != layer.cell.digest:
        return float("inf")
    other = empty_copy(layer, cell)
    state = {name: tensor.double() for name, tensor in layer.state_dict().items()}
    if {name: tensor.shape for name, tensor in state.items()} != {
        name: tensor.shape for name, tensor in other.state_dict().items()
    }:
        return float("inf")
    other.load_state_dict(state)
    return largest_difference(in_double(layer), partial(run, other))
