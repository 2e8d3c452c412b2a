"""No cell that may be written takes long to be drawn, however large or entangled it is."""

import time

import pytest
from shared_huge_cells import HUGE, alike_matrices

from archsearch.drawing.layers import arrange
from archsearch.drawing.svg import to_svg
from archsearch.drawing.terminal import draw_text
from archsearch.graph.cell_graph import CellGraph

# far above what they take, far below what they took
MAX_SECONDS = 15.0
CHAINS = ("squares", "doubles", "doubling products", "pairs of twins")
DRAWN = {**{name: HUGE[name] for name in CHAINS}, "wires that go far": alike_matrices(400)}


@pytest.mark.parametrize("name", DRAWN)
def test_huge_cells_are_drawn_within_seconds(name: str):
    cell = CellGraph.from_equations(DRAWN[name])
    start = time.process_time()
    assert to_svg(cell).endswith("</svg>\n")
    assert draw_text(cell)
    assert time.process_time() - start < MAX_SECONDS


def test_places_of_a_huge_cell_are_all_there():
    """Also where nothing is swept."""
    cell = CellGraph.from_equations(DRAWN["wires that go far"])
    layers = arrange(cell.structure)
    places = [place for column in layers.columns for place in column]
    assert len(set(places)) == len(places)
    assert {*layers.made.items()} <= set(places)
