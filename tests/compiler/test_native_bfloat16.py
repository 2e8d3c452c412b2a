"""precision=bfloat16 against torch's own rounding."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, linear

from archsearch.compiler.engines import check_precision
from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.native.compiled import check_native
from archsearch.compiler.native.ends import Readout
from archsearch.compiler.native.engine import NativeEngine
from archsearch.errors import ConfigError, EngineError
from archsearch.graph.cell_graph import CellGraph

try:
    check_native("bfloat16")
except EngineError as error:
    pytest.skip(str(error), allow_module_level=True)

SIZES = [(1, 1, 1, 1), (3, 2, 5, 7), (5, 1, 33, 33), (35, 20, 64, 64), (4, 3, 17, 130), (2, 3, 1100, 40)]


def rounded(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.bfloat16().double()


def assert_near(actual: torch.Tensor, expected: torch.Tensor) -> None:
    """Products of rounded factors differ by the rounding of float32 sums alone."""
    scale = expected.abs().max().item()
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=3e-6 * max(scale, 1e-6))


@pytest.mark.parametrize("sizes", SIZES)
def test_large_products_have_rounded_factors(sizes):
    num_steps, batch_size, input_size, hidden_size = sizes
    layer = RecurrentLayer(
        CellGraph.from_equations("h' = linear(x)"), input_size, hidden_size, engine="native", precision="bfloat16"
    )
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(num_steps, batch_size, input_size, generator=generator).requires_grad_()
    gradient = torch.randn(num_steps, batch_size, hidden_size, generator=generator)
    output, _ = layer(x)
    output.backward(gradient)
    weight, bias = dict(layer.named_parameters()).values()
    assert_near(output, rounded(x) @ rounded(weight).t() + bias.double())
    assert_near(x.grad, rounded(gradient) @ rounded(weight))
    assert_near(weight.grad, rounded(gradient).flatten(0, 1).t() @ rounded(x).flatten(0, 1))
    assert_near(bias.grad, gradient.double().sum((0, 1)))


@pytest.mark.parametrize("num_layers", [1, 2])
def test_what_recurs_is_not_rounded(num_layers):
    cell = CellGraph.from_equations("h' = tanh(linear(h) + x)")
    layers = [
        RecurrentLayer(cell, 9, 9, num_layers, engine="native", precision=precision)
        for precision in ("full", "bfloat16")
    ]
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(4, 3, 9)
    assert torch.equal(layers[0](x)[0], layers[1](x)[0])


@pytest.mark.parametrize("hidden_size", [7, 64])
def test_weight_gradients_of_recurrent_matrices_are_rounded(hidden_size):
    cell = CellGraph.from_equations("h' = tanh(linear(x, h))")
    layers = [
        RecurrentLayer(cell, 5, hidden_size, engine="native", precision=precision) for precision in ("full", "bfloat16")
    ]
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(6, 3, 5)
    for layer in layers:
        layer(x)[0].sum().backward()
    for (name, one), (_, other) in zip(layers[0].named_parameters(), layers[1].named_parameters(), strict=True):
        difference = ((one.grad - other.grad).norm() / one.grad.norm()).item()
        assert difference < 2e-2, name
        assert difference > 1e-5 or name.endswith("bias"), name


def test_rounding_is_to_nearest_ties_to_even_with_nan_and_infinities():
    bits = [0x3F808000, 0x3F818000, 0x3F807FFF, 0x3F808001, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FFFFFFF, 0x7F800001]
    values = torch.from_numpy(np.array(bits, dtype=np.uint32).view(np.float32))
    layer = RecurrentLayer(CellGraph.from_equations("h' = linear(x)"), 1, 1, engine="native", precision="bfloat16")
    with torch.no_grad():
        next(layer.parameters()).fill_(1)
        output, _ = layer(values[:, None, None])
    torch.testing.assert_close(output.flatten(), values.bfloat16().float(), rtol=0, atol=0, equal_nan=True)


# fewer rows and more than are taken at a time, odd and even
READOUT_SIZES = [
    (6, 3, 2, None),
    (1, 1, 1, None),
    (40, 33, 100, 11),
    (337, 9, 101, None),
    (675, 20, 37, 673),
    (9, 4, 5, 0),
]


@pytest.mark.parametrize(("precision", "max_error"), [("full", 2e-6), ("bfloat16", 1e-2)])
@pytest.mark.parametrize("sizes", [*READOUT_SIZES, (700, 60, 548, None)])
def test_readout(sizes, precision, max_error):
    """The loss and its gradients against torch's in float64, in units of each one's norm."""
    num_rows, hidden_size, num_symbols, num_scored = sizes
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(num_symbols, hidden_size, generator=generator) / hidden_size**0.5
    bias = torch.randn(num_symbols, generator=generator)
    rows = torch.randn(num_rows, hidden_size, generator=generator)
    scored = None if num_scored is None else torch.randperm(num_rows, generator=generator)[:num_scored]
    targets = torch.randint(num_symbols, (num_rows if num_scored is None else num_scored,), generator=generator)
    exact = [tensor.double().requires_grad_() for tensor in (weight, bias, rows)]
    logits = linear(exact[2] if scored is None else exact[2][scored], *exact[:2])
    expected_loss = cross_entropy(logits, targets, reduction="sum")
    expected = [expected_loss, *torch.autograd.grad(0.5 * expected_loss, exact)]

    d_weight, d_bias, d_rows = torch.empty_like(weight), torch.empty_like(bias), torch.empty_like(rows)
    readout = Readout(weight, bias, d_weight, d_bias, precision)
    loss = readout.loss(rows.data_ptr(), hidden_size, num_rows, scored, targets, 0.5, d_rows.data_ptr())
    for one, other in zip((torch.tensor(loss), d_weight, d_bias, d_rows), expected, strict=True):
        error = (one.double() - other).norm()
        assert error <= max_error * other.norm()
        assert precision == "full" or num_symbols < 3 or not num_scored or error > 1e-7 * other.norm()


@pytest.mark.parametrize("sizes", [(64, 16, 255, 1000), (64, 16, 1000, 255), (300, 14, 63, 16)])
def test_work_memory_is_large_enough(sizes):
    """Narrow operands are taken in larger blocks; what lies behind the work memory must stay as it is."""
    num_steps, batch_size, input_size, hidden_size = sizes
    cell = CellGraph.from_equations("c' = tanh(linear(x, c, name=in))\nh' = linear(c', name=out)")
    layers = [
        RecurrentLayer(cell, input_size, hidden_size, engine="native", precision=precision)
        for precision in ("full", "bfloat16")
    ]
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(num_steps, batch_size, input_size, generator=torch.Generator().manual_seed(0))
    for layer in layers:
        layer(x)[0].square().sum().backward()
    for (name, one), (_, other) in zip(layers[0].named_parameters(), layers[1].named_parameters(), strict=True):
        assert (one.grad - other.grad).norm() < 2e-2 * one.grad.norm(), name


def test_unknown_precisions_are_named():
    with pytest.raises(ConfigError, match=r"precision 'half' is not known of a layer\. Expected one of: full, bfl"):
        RecurrentLayer("gru", 3, 4, precision="half")
    with pytest.raises(ConfigError, match=r"precision 'half' is not known\. Expected one of: float32, float64, bfl"):
        check_precision("native", "half")


@pytest.mark.parametrize("engine", ["auto", "interpreter", "vectorized"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_type_of_number_is_no_precision_of_a_layer(precision, engine):
    """It would be silently without effect; in a recipe it says which type the weights have."""
    with pytest.raises(ConfigError, match=rf"precision '{precision}' is not known .* dtype=torch.float64"):
        RecurrentLayer("gru", 3, 4, engine=engine, precision=precision)
    check_precision(engine, precision)


def test_refused_where_it_cannot_be():
    layer = RecurrentLayer("gru", 3, 4, engine="native", precision="bfloat16").double()
    with pytest.raises(EngineError, match="precision bfloat16: expected float32 weights"):
        layer(torch.zeros(2, 1, 3, dtype=torch.float64))
    with pytest.raises(ConfigError, match="engine interpreter: it has no precision=bfloat16"):
        check_precision("interpreter", "bfloat16")
    with pytest.raises(ConfigError, match="engine interpreter"):
        RecurrentLayer("gru", 3, 4, engine="interpreter", precision="bfloat16")
    assert isinstance(RecurrentLayer("gru", 3, 4, precision="bfloat16").unroll, NativeEngine)
