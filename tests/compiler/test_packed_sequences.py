"""Packed sequences beside each sequence alone, for every cell: torch has only three to compare with."""

import pytest
import torch
from shared_torch_pairs import as_tuple, weighed_sum
from shared_unrolling import AWKWARD_CELLS, why_not_native, zoo_structures
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from archsearch.compiler.layer import RecurrentLayer
from archsearch.graph.cell_graph import CellGraph

LENGTHS = (3, 6, 1, 6, 4)
CELLS = zoo_structures() | AWKWARD_CELLS
del CELLS["exchanged, a node unused"]  # no valid graph


def states_of(layer, states, place=None):
    """Returns states as the layer takes them, all sequences' or one's."""
    chosen = tuple(state if place is None else state[:, place] for state in states)
    return chosen[0] if len(chosen) == 1 else chosen


@pytest.mark.parametrize("engine", ["interpreter", "native"])
@pytest.mark.parametrize("name", CELLS)
def test_packed_equals_each_alone(name, engine):
    if engine == "native" and why_not_native() is not None:
        pytest.skip(why_not_native())
    torch.manual_seed(0)
    cell = CellGraph.from_structure(CELLS[name])
    layer = RecurrentLayer(cell, 3, 4, num_layers=2, bidirectional=True, engine=engine, dtype=torch.float64)
    sequences = [torch.randn(length, 3, dtype=torch.float64, requires_grad=True) for length in LENGTHS]
    states = [torch.randn(4, 5, 4, dtype=torch.float64, requires_grad=True) for _ in cell.states]
    inputs = [*sequences, *states, *layer.parameters()]

    def derive(results):
        loss = weighed_sum(results)
        return torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)

    alone = [layer(x, states_of(layer, states, place)) for place, x in enumerate(sequences)]
    expected = [output for output, _ in alone]
    expected += [torch.stack(rows, 1) for rows in zip(*(as_tuple(last) for _, last in alone), strict=True)]

    packed, last = layer(pack_sequence(sequences, enforce_sorted=False), states_of(layer, states))
    padded, lengths = pad_packed_sequence(packed)
    assert lengths.tolist() == list(LENGTHS)
    actual = [padded[:length, place] for place, length in enumerate(LENGTHS)]
    actual += as_tuple(last)

    for one, other in zip([*actual, *derive(actual)], [*expected, *derive(expected)], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_a_state_is_that_of_the_sequences_own_end():
    """A cell that counts steps, so that the right answer is plain."""
    cell = CellGraph.from_equations(
        "states: h, seen\nseen' = seen + sigmoid(seen - seen) + sigmoid(seen - seen)\nh' = x * seen'"
    )
    layer = RecurrentLayer(cell, 1, 1, bidirectional=True)
    packed = pack_sequence([torch.ones(length, 1) for length in (2, 5)], enforce_sorted=False)
    output, (_, seen) = layer(packed, (torch.zeros(2, 2, 1), torch.tensor([[[10.0], [20.0]], [[30.0], [40.0]]])))
    assert seen.squeeze(-1).tolist() == [[12, 25], [32, 45]]
    padded, _ = pad_packed_sequence(output)
    assert padded[:, 0].tolist() == [[11, 32], [12, 31], [0, 0], [0, 0], [0, 0]]
    assert padded[:, 1].tolist() == [[21, 45], [22, 44], [23, 43], [24, 42], [25, 41]]


def test_each_run_of_equal_batch_sizes_is_one_unroll(monkeypatch):
    """Not each time step: that would cost Python between all of them."""
    layer = RecurrentLayer("gru", 3, 4)
    calls, unroll = [], layer.unroll

    def count(x, states, parameters):
        calls.append(tuple(x.shape[:2]))
        return unroll(x, states, parameters)

    layer.unroll = count
    layer(pack_sequence([torch.zeros(length, 3) for length in (9, 9, 5, 2)]))
    assert calls == [(2, 4), (3, 3), (4, 2)]
