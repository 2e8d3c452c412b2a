"""Compares a GPU's passes with the same passes in float64 on the CPU, which the tests compare with autograd."""

from collections.abc import Sequence

import torch
from torch import Tensor

from archsearch.compiler.lower import lower
from archsearch.compiler.vectorized.flat_weights import FlatWeights
from archsearch.compiler.vectorized.layer_pass import PopulationPass
from archsearch.compiler.vectorized.triton_kernels import fastest_kernels
from archsearch.graph.cell_graph import CellGraph

NUM_MEMBERS, NUM_STEPS, BATCH_SIZE, HIDDEN_SIZE = 3, 12, 20, 64
PRECISIONS = ("full", "tf32", "bfloat16")
SMALLEST_NORM = 1e-9
NO_GPU = (
    "torch finds no GPU here, and nothing was measured. It needs an NVIDIA GPU and a torch built for CUDA; with Triton "
    "the kernels are generated, without it they are torch's operations."
)


def worst_errors(cell: CellGraph, precisions: Sequence[str] = PRECISIONS) -> dict[str, float]:
    """Returns by precision the largest error of outputs and gradients, each in units of its norm."""
    expected = _results(cell, torch.device("cpu"), torch.float64, "full")
    errors = {}
    for precision in precisions:
        actual = _results(cell, torch.device("cuda"), torch.float32, precision)
        pairs = zip(actual, expected, strict=True)
        found = (_error(one, other) for one, other in pairs if float(other.norm()) > SMALLEST_NORM)
        errors[precision] = max(found, default=0.0)  # of a cell that gives nothing but zeros
    return errors


def _results(cell: CellGraph, device: torch.device, dtype: torch.dtype, precision: str) -> list[Tensor]:
    program, size = lower(cell.structure), HIDDEN_SIZE
    flat = FlatWeights(program, size, size)
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int, scale: float) -> Tensor:
        drawn = torch.rand(shape, generator=generator, dtype=torch.float64)
        return ((drawn - 0.5) * 2 * scale).to(device, dtype)

    rows = draw(NUM_MEMBERS, flat.length, scale=size**-0.5)
    d_rows = torch.zeros_like(rows)
    layer = PopulationPass(
        program,
        flat.views(rows),
        flat.views(d_rows),
        NUM_STEPS,
        BATCH_SIZE,
        size,
        size,
        NUM_MEMBERS,
        kernels=fastest_kernels(device),
        precision=precision,
        like=rows,
    )
    layer.inputs.copy_(draw(*layer.inputs.shape, scale=1.0))
    layer.d_outputs.copy_(draw(*layer.d_outputs.shape, scale=0.1))
    layer.forward()
    layer.backward()
    found = [layer.outputs, layer.d_inputs, *flat.views(d_rows).values()]
    return [tensor.detach().double().cpu() for tensor in found]


def _error(actual: Tensor, expected: Tensor) -> float:
    error = float((actual - expected).norm() / expected.norm())
    return error if error == error else float("inf")  # NaN is no equality
