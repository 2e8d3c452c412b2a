"""What is measured against each other: the same work on one layer, by an engine, by torch's own module or by hand."""

import copy
import ctypes
from typing import cast

import torch
from timing import Run
from torch import Tensor, nn
from torch.nn.functional import linear

from archsearch.compiler.cell_weights import tensors_by_name, weights_per_layer
from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.native.engine import NativeEngine
from archsearch.compiler.native.layer_pass import LayerPass
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.flat_parameters import FlatParameters

# small enough to leave the weights where they are, whatever the number of steps measured
LEARNING_RATE = 1e-6

PEERS: dict[str, tuple[str, type[nn.GRU] | type[nn.LSTM]]] = {
    "gru": ("nn_gru", nn.GRU),
    "gru_torch": ("nn_gru", nn.GRU),
    "lstm_torch": ("nn_lstm", nn.LSTM),
}


def make_runs(cell: CellGraph, name: str, x: Tensor, gradient: Tensor) -> dict[str, Run]:
    """Returns all that is measured of a cell but its products, by column of the table.

    Args:
        cell: The cell.
        name: The zoo's for it, which decides about torch's.
        x: `[T, B, H]` inputs.
        gradient: `[T, B, H]` of the outputs, for passes that have no loss.
    """
    runs = {}
    layers = make_layers(cell, name, x.shape[-1])
    for contender, layer in layers.items():
        runs[f"{contender}_layer_ms"] = run_layer(layer, x, gradient)
        runs[f"{contender}_step_ms"] = run_step(layer, x)
    native = RecurrentLayer(cell, x.shape[-1], x.shape[-1], engine="native")
    native.load_state_dict(layers["native"].state_dict())
    runs["native_direct_step_ms"] = run_direct_step(native, x)
    return runs


def make_layers(cell: CellGraph, name: str, hidden_size: int) -> dict[str, nn.Module]:
    """Returns the modules to compare for a cell: both engines with equal weights, and what torch has of its kind.

    Args:
        cell: The cell.
        name: The zoo's for it, which decides about torch's.
        hidden_size: `H`, also the number of input features.
    """
    torch.manual_seed(0)
    interpreter = RecurrentLayer(cell, hidden_size, hidden_size, engine="interpreter")
    native = RecurrentLayer(cell, hidden_size, hidden_size, engine="native")
    native.load_state_dict(interpreter.state_dict())
    layers: dict[str, nn.Module] = {"interpreter": interpreter, "native": native}
    if name in PEERS:
        column, module = PEERS[name]
        layers[column] = module(hidden_size, hidden_size)
    if name == "gru":
        layers["torch_loop"] = TorchLoop(interpreter)
    return layers


def run_layer(layer: nn.Module, x: Tensor, gradient: Tensor) -> Run:
    """Returns the forward and the backward pass through autograd for `[T, B, H]` input and gradient of the output."""
    x = x.clone().requires_grad_()
    wanted = [x, *layer.parameters()]

    def run() -> None:
        output, _ = layer(x)
        torch.autograd.grad(output, wanted, gradient, allow_unused=True)

    return run


def run_step(layer: nn.Module, x: Tensor) -> Run:
    """Returns a whole training step on `[T, B, H]` input: forward, loss, backward, SGD."""
    x = x.clone().requires_grad_()
    parameters = list(layer.parameters())
    optimizer = torch.optim.SGD(parameters, LEARNING_RATE) if parameters else None

    def run() -> None:
        x.grad = None
        if optimizer is not None:
            optimizer.zero_grad()
        output, _ = layer(x)
        output.square().mean().backward()
        if optimizer is not None:
            optimizer.step()

    return run


def run_direct_step(layer: RecurrentLayer, x: Tensor) -> Run:
    """Returns the training step of `run_step` without autograd, as a search trains: the native passes one by one."""
    T, B, H = x.shape
    x, engine, weights = x.clone(), NativeEngine(layer.program), tensors_by_name(weights_per_layer(layer.layers)[0])
    parameters = FlatParameters(layer) if weights else None
    gradients = {name: cast(Tensor, tensor.grad) for name, tensor in weights.items()}
    passes = LayerPass(engine, weights, gradients, x.dtype, T, B, H, H)
    d_output, dx = torch.zeros(T * B, passes.row_length), torch.empty_like(x)
    before = [torch.zeros(B, H) for _ in layer.program.states]

    def run() -> None:
        address, _ = passes.forward(x.data_ptr(), before)
        output = torch.frombuffer((ctypes.c_float * d_output.numel()).from_address(address), dtype=x.dtype)
        torch.dot(output, output)  # the loss, but for its factor; columns beyond H are 0
        torch.mul(output, 2 / x.numel(), out=d_output.view(-1))
        passes.backward(d_output.data_ptr(), dx.data_ptr())
        if parameters is not None:
            parameters.values.add_(parameters.gradients, alpha=-LEARNING_RATE)

    return run


class TorchLoop(nn.Module):
    """The zoo's `gru` as one writes it by hand, its matrices packed as the interpreter packs them.

    Args:
        layer: One layer of the zoo's `gru`; its weights are copied.
    """

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self.weights = copy.deepcopy(layer.layers[0])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Unrolls the cell over `[T, B, I]` from a state of zeros; returns `[T, B, H]` and `[B, H]`."""
        own = self.weights
        of_x = (own.reset_1, own.update_1, own.new_1)
        from_x = linear(x, torch.cat([part.weight for part in of_x]), torch.cat([part.bias for part in of_x]))
        from_state = torch.cat([own.reset_2.weight, own.update_2.weight]).t().contiguous()
        from_reset = own.new_2.weight.t().contiguous()
        h = x.new_zeros(x.shape[1], from_reset.shape[1])
        outputs = []
        for x_t in from_x.unbind(0):
            r_x, z_x, n_x = x_t.chunk(3, -1)
            r_h, z_h = (h @ from_state).chunk(2, -1)
            r = torch.sigmoid(r_x + r_h)
            z = torch.sigmoid(z_x + z_h)
            n = torch.tanh(n_x + (r * h) @ from_reset)
            h = n + z * (h - n)
            outputs.append(h)
        return torch.stack(outputs), h
