"""Every cell of the zoo against numbers from elsewhere: outputs, last states and all gradients, in every engine."""

import pytest
import torch
from shared_unrolling import why_not_native
from shared_zoo_numbers import HIDDEN_SIZE, INPUT_SIZE, assert_equal_numbers
from shared_zoo_papers import PAPER_PEERS
from shared_zoo_torch import TORCH_PEERS
from shared_zoo_torchrecurrent import BARE_INPUT, TORCHRECURRENT_PEERS

from archsearch.graph.catalog import zoo_names

engines = pytest.mark.parametrize(
    "engine",
    [
        "interpreter",
        pytest.param("native", marks=pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native()))),
    ],
)
dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "float"])


@engines
@dtypes
@pytest.mark.parametrize("name", TORCH_PEERS)
def test_cell_equals_torchs(name, engine, dtype):
    assert_equal_numbers(name, TORCH_PEERS[name], engine, dtype)


@engines
@dtypes
@pytest.mark.parametrize("name", TORCHRECURRENT_PEERS)
def test_cell_equals_torchrecurrents(name, engine, dtype):
    input_size = HIDDEN_SIZE if name in BARE_INPUT else INPUT_SIZE
    assert_equal_numbers(name, TORCHRECURRENT_PEERS[name], engine, dtype, input_size)


@engines
@dtypes
@pytest.mark.parametrize("name", PAPER_PEERS)
def test_cell_equals_its_paper(name, engine, dtype):
    assert_equal_numbers(name, PAPER_PEERS[name], engine, dtype)


def test_no_cell_is_without_a_peer():
    assert {*TORCH_PEERS, *TORCHRECURRENT_PEERS, *PAPER_PEERS} == set(zoo_names())
