"""The table of docs/zoo.md: each cell's row is computed here and looked up there.

`python -m pytest tests/export/test_zoo_table.py` says what a row must be where it is not.
"""

from pathlib import Path

import pytest
import torch
from shared_unrolling import compare_in_double, why_not_native
from shared_zoo_numbers import HIDDEN_SIZE, INPUT_SIZE, assert_equal_numbers
from shared_zoo_papers import PAPER_PEERS
from shared_zoo_torch import TORCH_PEERS
from shared_zoo_torchrecurrent import BARE_INPUT, TORCHRECURRENT_PEERS

from archsearch.export.formats import FORMATS
from archsearch.export.fresh_layer import fresh_layer
from archsearch.graph.catalog import load_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
PEERS = {"torch": TORCH_PEERS, "torchrecurrent": TORCHRECURRENT_PEERS, "its paper": PAPER_PEERS}
EXPORTED = ("onnx", "onnx_step", "python", "json")
BOUNDS = (1e-10, 1e-5)


def rows_on_the_page():
    """Returns the rows of the table by cell."""
    heading = "| cell | id | equals |"
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith(heading) for line in lines) == 1
    start = next(number for number, line in enumerate(lines) if line.startswith(heading)) + 2
    end = next(number for number, line in enumerate(lines[start:], start) if not line.startswith("|"))
    return {line.split("`")[1]: line for line in lines[start:end]}


def bound(error):
    """Returns the least bound of the page that an error keeps, or the error itself."""
    kept = [limit for limit in BOUNDS if error <= limit]
    return f"{kept[0] if kept else error:.0e}".replace("e-0", "e-")


def row_of(name, folder):
    """Returns what the page must say of a cell, in the order of its columns; compares as it goes."""
    cell = load_cell(name)
    again = CellGraph.from_equations(cell.equations())
    assert again == cell
    peers = [title for title, group in PEERS.items() if name in group]
    for title in peers:
        input_size = HIDDEN_SIZE if title == "torchrecurrent" and name in BARE_INPUT else INPUT_SIZE
        assert_equal_numbers(name, PEERS[title][name], "interpreter", torch.float64, input_size)
    native, _ = compare_in_double(cell.structure, (5, 3, 4, 7))
    layer = fresh_layer(cell, 5, 6, 2, seed=1)
    errors = []
    for kind in EXPORTED:
        path = folder / f"cell{FORMATS[kind].ending}"
        FORMATS[kind].write(layer, path)
        errors.append(bound(FORMATS[kind].verify(layer, path)))
    columns = [f"`{name}`", f"`{again.digest}`", ", ".join(peers), bound(native), *errors]
    return f"| {' | '.join(columns)} |"


@pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native()))
@pytest.mark.parametrize("name", zoo_names())
def test_the_page_says_what_was_compared(name, tmp_path):
    assert rows_on_the_page()[name] == row_of(name, tmp_path)


def test_the_page_has_no_other_rows_and_no_empty_place():
    rows = rows_on_the_page()
    assert list(rows) == sorted(zoo_names())
    assert all(column.strip() for row in rows.values() for column in row.split("|")[1:-1])
