"""Torch's own RNN, LSTM and GRU as peers of cells of the zoo: `from shared_zoo_torch import TORCH_PEERS`."""

import torch
from shared_zoo_numbers import HIDDEN_SIZE, Peer, Weights
from torch import Tensor, nn

# torch's module, its gates in its order, and those whose bias on h stands alone
LAYERS = {
    "tanh": (nn.RNN, {}, ("new",)),
    "rnn_relu": (nn.RNN, {"nonlinearity": "relu"}, ("new",)),
    "lstm_torch": (nn.LSTM, {}, ("input", "forget", "candidate", "output")),
    "gru_torch": (nn.GRU, {}, ("reset", "update", "new")),
}


def torch_layer(name: str) -> Peer:
    """Returns the peer of one cell."""
    kind, options, gates = LAYERS[name]

    def run(x: Tensor, states: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, tuple[Tensor, ...]]:
        layer = kind(x.shape[-1], HIDDEN_SIZE, dtype=x.dtype, **options)
        bias_ih, bias_hh = [], []
        for gate in gates:
            bias = weights[f"{gate}_1.bias"]
            own = weights.get(f"{gate}_2.bias")  # the GRU's bias behind its reset gate
            # torch's two biases count by their sum
            bias_ih.append(bias if own is not None else 0.3 * bias)
            bias_hh.append(own if own is not None else 0.7 * bias)
        tensors = {
            "weight_ih_l0": torch.cat([weights[f"{gate}_1.weight"] for gate in gates]),
            "weight_hh_l0": torch.cat([weights[f"{gate}_2.weight"] for gate in gates]),
            "bias_ih_l0": torch.cat(bias_ih),
            "bias_hh_l0": torch.cat(bias_hh),
        }
        before = tuple(state[None] for state in states)
        output, after = torch.func.functional_call(layer, tensors, (x, before if len(before) > 1 else before[0]))
        return output, tuple(state[0] for state in (after if len(before) > 1 else (after,)))

    return run


TORCH_PEERS = {name: torch_layer(name) for name in LAYERS}
