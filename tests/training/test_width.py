"""R24: the number of units that a budget pays for."""

import pytest

from archsearch.errors import ConfigError
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.model import SequenceModel
from archsearch.training.width import MAX_HIDDEN_SIZE, hidden_size_for, model_parameters
from archsearch.trials.interface import Interface

symbols = Interface.of_symbols


@pytest.mark.parametrize("name", ["gru", "lstm", "mut1", "tanh"])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_closed_form_is_the_true_count(name, num_layers):
    """R23, R24: embedding, every one of the stacked layers, and readout."""
    cell = zoo_cell(name)
    model = SequenceModel(cell, symbols(11), 7, num_layers)
    true_count = sum(parameter.numel() for parameter in model.parameters())
    assert model_parameters(cell.structure, symbols(11), 7, num_layers) == true_count


@pytest.mark.parametrize("name", ["gru", "lstm", "mut1", "tanh"])
@pytest.mark.parametrize("num_layers", [1, 4])
@pytest.mark.parametrize("budget", [1_000, 25_000, 250_000, 1_000_000])
def test_no_other_width_is_nearer(name, num_layers, budget):
    """R24: an obvious search over all widths finds the same."""
    structure = zoo_cell(name).structure
    widths = range(1, 800)
    nearest = min(widths, key=lambda width: abs(model_parameters(structure, symbols(40), width, num_layers) - budget))
    assert hidden_size_for(structure, symbols(40), num_layers, budget) == nearest


def test_the_nearest_width_may_lie_above_or_below_the_budget():
    """R24."""
    structure = zoo_cell("gru").structure
    below, above = (model_parameters(structure, symbols(40), width, 1) for width in (50, 51))
    assert hidden_size_for(structure, symbols(40), 1, below + 1) == 50
    assert hidden_size_for(structure, symbols(40), 1, above - 1) == 51
    assert hidden_size_for(structure, symbols(40), 1, above) == 51


def test_a_budget_for_exactly_one_unit_is_enough():
    structure = zoo_cell("gru").structure
    assert hidden_size_for(structure, symbols(40), 1, model_parameters(structure, symbols(40), 1, 1)) == 1


def test_a_budget_too_small_for_one_unit_teaches():
    structure = zoo_cell("gru").structure
    needed = model_parameters(structure, symbols(10_000), 1, 2)
    with pytest.raises(ConfigError, match=f"is 25000, expected at least {needed}, which one unit"):
        hidden_size_for(structure, symbols(10_000), 2, 25_000)


def test_a_cell_without_matrices_is_not_wider_than_allowed():
    structure = CellGraph.from_equations("h' = tanh(x + h)").structure
    assert hidden_size_for(structure, symbols(40), 1, 1_000_000) == MAX_HIDDEN_SIZE
    assert hidden_size_for(structure, symbols(40), 1, 1_000_000, max_hidden_size=17) == 17
