"""Embedding, layers, readout, and their first weights."""

import math

import pytest
import torch

from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.model import SequenceModel, build_model
from archsearch.trials.interface import Interface
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe

symbols = Interface.of_symbols


def test_two_halves_equal_the_whole():
    """R27: what the state carries is all that the second half needs."""
    model = SequenceModel(zoo_cell("lstm"), symbols(5), 6, num_layers=2)
    inputs = torch.randint(5, (8, 3), generator=torch.Generator().manual_seed(0))
    whole, _ = model(inputs)
    first, state = model(inputs[:4])
    second, _ = model(inputs[4:], state)
    assert whole.shape == (8, 3, 5)
    torch.testing.assert_close(torch.cat([first, second]), whole)


def test_positions_pick_what_the_readout_gives_there():
    model = SequenceModel(zoo_cell("gru"), symbols(5), 6)
    inputs = torch.randint(5, (4, 3), generator=torch.Generator().manual_seed(0))
    whole, _ = model(inputs)
    picked, _ = model(inputs, None, torch.tensor([1, 11]))  # time first: (0, 1) and (3, 2)
    torch.testing.assert_close(picked, torch.stack([whole[0, 1], whole[3, 2]]))


@pytest.mark.parametrize("init_scale", [0.3, 2.8])
def test_all_weights_are_uniform_within_the_scale_and_biases_zero(init_scale):
    """R20: U[-s/sqrt(H), s/sqrt(H)] for embedding, layers and readout."""
    model = build_model(zoo_cell("gru"), symbols(30), 64, Setting(init_scale, 1, 1, 2, 1), Recipe(), "auto", seed=3)
    bound = init_scale / math.sqrt(64)
    for name, values in model.named_parameters():
        parameter = values.detach()
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        else:
            assert 0.98 * bound < float(parameter.max()) <= bound, name
            assert -bound <= float(parameter.min()) < -0.98 * bound, name
            assert float(parameter.std()) == pytest.approx(bound / math.sqrt(3), rel=0.05), name


def test_diagonal_is_added_and_bias_init_kept():
    """R13."""
    cell = CellGraph.from_equations("h' = tanh(linear(x) + linear(h, diagonal=1.1, bias_init=0.5))")
    model = build_model(cell, symbols(5), 40, Setting(0.3, 1, 1, 1, 1), Recipe(), "auto", seed=3)
    diagonals = [
        float(p.detach().diagonal().mean()) for n, p in model.layers.named_parameters() if n.endswith("weight")
    ]
    biases = [float(p[0].detach()) for n, p in model.layers.named_parameters() if n.endswith("bias")]
    assert sorted(diagonals) == pytest.approx([0.0, 1.1], abs=0.05)
    assert sorted(biases) == [0.0, 0.5]


def test_weights_depend_on_the_seed_alone_and_the_global_generator_stays():
    state = torch.get_rng_state()
    arguments = (zoo_cell("gru"), symbols(5), 6, Setting(1, 1, 1, 1, 1), Recipe(), "auto")
    first, again, other = (build_model(*arguments, seed).state_dict() for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["readout.weight"], other["readout.weight"])


def test_precision_is_the_recipes():
    model = build_model(
        zoo_cell("gru"), symbols(5), 6, Setting(1, 1, 1, 1, 1), Recipe(precision="float64"), "auto", seed=7
    )
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
