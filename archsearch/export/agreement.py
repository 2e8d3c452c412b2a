"""Whether an exported file does what the layer does."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.copies import in_double
from archsearch.export.directions import count_rows

TOLERANCE = 1e-5
_ROUNDINGS, _MOST = 5, 1e-2
SIZES = ((7, 3), (1, 1), (2, 5))  # T and B; one time step and one sequence are what a fixed size is mistaken for
_SEED = 4

Tensors = tuple[Tensor, ...]


def largest_difference(
    layer: RecurrentLayer, run: Callable[[Tensors], Sequence[Tensor]], *, in_float32: bool = False
) -> float:
    """Runs a layer and its exported form on the same drawn inputs, of several lengths and batch sizes.

    Args:
        layer: Run without dropout.
        run: The exported form: `input`, laid out as the layer takes it, and each state, in float32 ->
            `output` and each new state.
        in_float32: The exported form calculates in float32. It is compared with the layer in float64, but for numbers
            that are finite there alone.

    Returns:
        The largest difference of any two numbers, absolute for numbers within ±1 and relative to them beyond, as many a
        cell's states grow. It is 0 where both are NaN or the same infinity, infinite where one alone is.
    """
    was_training = layer.training
    layer.eval()
    try:
        with torch.no_grad():
            expect = partial(_run_layer, layer)
            if in_float32:
                expect = partial(_run_beside_float32, deepcopy(layer).float(), in_double(layer))
            return max(_difference(expect(given), run(given)) for given in _draw_inputs(layer))
    finally:
        layer.train(was_training)


def allowed_in_float32(layer: RecurrentLayer) -> float:
    """Returns how far a correct form in float32 may be from the layer.

    A deep cell amplifies rounding, so that two correct calculations differ: beside the tolerance, a form may have a
    few times the error of the layer itself. No more than 1 in 100 in all, where a changed formula would be missed.
    """
    single = deepcopy(layer).float()
    rounding = largest_difference(layer, lambda given: _run_as(given[0], single.eval(), given), in_float32=True)
    return TOLERANCE + min(_ROUNDINGS * rounding, _MOST)


def largest_step_difference(
    layer: RecurrentLayer, run: Callable[[Tensors], Sequence[Tensor]], *, in_float32: bool = False
) -> float:
    """Does the same with one time step, `[B, I]` -> `[B, H]`, fed again and again with the states it gave."""

    def run_steps(given: Tensors) -> list[Tensor]:
        time = 1 if layer.batch_first else 0
        outputs, states = [], given[1:]
        for x in given[0].unbind(time):
            output, *news = run((x, *states))
            outputs.append(output)
            states = tuple(news)
        return [torch.stack(outputs, time), *states]

    return largest_difference(layer, run_steps, in_float32=in_float32)


def _draw_inputs(layer: RecurrentLayer) -> Iterator[Tensors]:
    """Draws an input and states from U[-1, 1] for each of the sizes."""
    generator = torch.Generator().manual_seed(_SEED)
    for num_steps, batch_size in SIZES:
        leading = (batch_size, num_steps) if layer.batch_first else (num_steps, batch_size)
        shapes = [(*leading, layer.input_size)]
        shapes += [(count_rows(layer), batch_size, layer.hidden_size)] * len(layer.cell.states)
        yield tuple(torch.empty(shape).uniform_(-1, 1, generator=generator) for shape in shapes)


def _run_layer(layer: RecurrentLayer, given: Tensors) -> Tensors:
    # a layer without weights computes in what it is given, and float64 is what shows mistakes and no rounding
    return _run_as(next(layer.parameters(), given[0].double()), layer, given)


def _run_beside_float32(single: RecurrentLayer, double: RecurrentLayer, given: Tensors) -> Tensors:
    rounded = _run_as(given[0], single, given)
    exact = _run_as(given[0].double(), double, given)
    # numbers that float32 cannot hold are no mistake of the exported form
    return tuple(a.where(b.isfinite(), b.double()) for a, b in zip(exact, rounded, strict=True))


def _run_as(like: Tensor, layer: RecurrentLayer, given: Tensors) -> Tensors:
    device = next(layer.parameters(), like).device
    x, *states = (tensor.to(device, like.dtype) for tensor in given)
    output, after = layer(x, states[0] if len(states) == 1 else tuple(states))
    return (output, *(after if isinstance(after, tuple) else (after,)))


def _difference(expected: Sequence[Tensor], actual: Sequence[Tensor]) -> float:
    largest = 0.0
    for wanted, got in zip(expected, actual, strict=True):
        assert wanted.shape == got.shape, (wanted.shape, got.shape)  # an exporter wrote another layout
        a, b = wanted.double().cpu(), got.double().cpu()
        apart = ((a - b).abs() / a.abs().clamp(min=1)).nan_to_num(torch.inf, torch.inf)
        equal = (a == b) | (a.isnan() & b.isnan())
        largest = max(largest, float(apart.masked_fill(equal, 0).max()))
    return largest
