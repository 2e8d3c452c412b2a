"""Where the weights of a population's members lie."""

import pytest
import torch
from shared_unrolling import zoo_structures

from archsearch.compiler.lower import lower
from archsearch.compiler.vectorized.flat_weights import FlatWeights
from archsearch.training.population_layout import PopulationWeights
from archsearch.trials.interface import Interface

ZOO = zoo_structures()
WIDTH = 5


@pytest.mark.parametrize("name", ZOO)
def test_a_layer_lies_in_a_member_as_it_lies_alone(name):
    """There is one layout of a layer's weights, for the modules of an engine and for populations."""
    program = lower(ZOO[name])
    weights = PopulationWeights(
        program, Interface.of_symbols(7), 2, [WIDTH, 3], WIDTH, torch.float32, torch.device("cpu")
    )
    alone = FlatWeights(program, WIDTH, WIDTH)
    views = alone.views(torch.zeros(1, alone.length))
    for number in range(2):
        layer = weights.layer(weights.values, number)
        assert list(layer) == list(views)
        first = next(iter(layer.values())).storage_offset()
        for key, view in views.items():
            assert layer[key].shape[1:] == view.shape[1:]
            assert layer[key].storage_offset() - first == view.storage_offset(), key
