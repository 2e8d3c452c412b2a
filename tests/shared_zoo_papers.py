"""Loops written down from papers, as peers of cells of the zoo: `from shared_zoo_papers import PAPER_PEERS`.

Letters are the papers'. `W` looks up weights: `W.input(x, h)` is the sum of the matrices `input_1` of x and `input_2`
of h and of their one bias; `W.peephole("input", c)` is a vector times c.
"""

from collections.abc import Callable

import torch
from shared_zoo_numbers import Peer, Weights, unrolled
from torch import Tensor

sigm, tanh, relu = torch.sigmoid, torch.tanh, torch.relu
Step = Callable[..., tuple[Tensor, ...]]


class Affine:
    """Weights as functions of their operands."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def __getattr__(self, name: str) -> Callable[..., Tensor]:
        def affine(*operands: Tensor) -> Tensor:
            names = [name] if len(operands) == 1 else [f"{name}_{k + 1}" for k in range(len(operands))]
            total = self._weights.get(f"{names[0]}.bias", torch.zeros_like(operands[-1][:, :1]))
            for operand, key in zip(operands, names, strict=True):
                total = total + torch.einsum("bi,hi->bh", operand, self._weights[f"{key}.weight"])
            return total

        return affine

    def peephole(self, name: str, cell: Tensor) -> Tensor:
        """Returns a peephole's part of a gate."""
        return self._weights[f"{name}_c.weight"] * cell


def greff(variant: str) -> Step:
    """Greff 2017: the vanilla LSTM and eight variants; names as there, `y` the output, `c` the cell."""

    def step(x: Tensor, W: Affine, y: Tensor, c: Tensor, *gates: Tensor) -> tuple[Tensor, ...]:
        def gate(name: str, cell: Tensor) -> Tensor:
            return sigm(getattr(W, name)(x, y, *gates) + W.peephole(name, cell))

        z = W.candidate(x, y)
        z = z if variant == "NIAF" else tanh(z)
        i = torch.ones_like(c) if variant == "NIG" else gate("input", c)
        if variant == "CIFG":
            f = torch.ones_like(c) - i
        else:
            f = torch.ones_like(c) if variant == "NFG" else gate("forget", c)
        new_c = z * i + c * f
        o = torch.ones_like(c) if variant == "NOG" else gate("output", new_c)
        new_y = (new_c if variant == "NOAF" else tanh(new_c)) * o
        return (new_y, new_c, i, f, o) if variant == "FGR" else (new_y, new_c)

    return step


def jozefowicz_lstm(without: str = "") -> Step:
    """Jozefowicz 2015, sec. 2.2, with the letters and activations printed there."""

    def step(x: Tensor, W: Affine, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        i = tanh(W.input(x, h))
        j = 1 if without == "i" else sigm(W.candidate(x, h))  # its input gate is the sigmoid
        f = 1 if without == "f" else sigm(W.forget(x, h))
        o = 1 if without == "o" else tanh(W.output(x, h))
        c = c * f + i * j
        return tanh(c) * o, c

    return step


def cho_gru(x: Tensor, W: Affine, h: Tensor) -> tuple[Tensor, ...]:
    """Cho 2014: r, z and the candidate, whose reset stands before its matrix."""
    r, z = sigm(W.reset(x, h)), sigm(W.update(x, h))
    return (z * h + (1 - z) * tanh(W.new(x, r * h)),)


def elman(x: Tensor, W: Affine, _: Tensor, s: Tensor) -> tuple[Tensor, ...]:
    """Elman 1990: the context units hold the hidden units of the step before."""
    hidden = sigm(W.hidden(x, s))
    return W.readout(hidden), hidden


def scrn(x: Tensor, W: Affine, _: Tensor, context: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
    """Mikolov 2014: s = (1-a) B x + a s; h = sigm(P s + A x + R h); y = U h + V s, a = 0.95."""
    s = (1 - 0.95) * W.context(x) + 0.95 * context
    new_hidden = sigm(W.hidden(s, x, hidden))
    return W.readout(new_hidden, s), s, new_hidden


def zoph_nascell(x: Tensor, W: Affine, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    """Zoph 2017, as his code in TensorFlow has it: a tree, written from its eight leaves to its root."""
    leaves = [sigm(W.gate_1(x, h)), relu(W.gate_2(x, h)), sigm(W.gate_3(x, h)), relu(W.gate_4_1(x) * W.gate_4_2(h))]
    leaves += [tanh(W.gate_5(x, h)), sigm(W.gate_6(x, h)), tanh(W.gate_7(x, h)), sigm(W.gate_8(x, h))]
    first, second = tanh(leaves[0] * leaves[1]), tanh(leaves[2] + leaves[3])
    third, fourth = tanh(leaves[4] * leaves[5]), sigm(leaves[6] + leaves[7])
    new_c = tanh(first + c) * second
    return tanh(new_c * tanh(third + fourth)), new_c


STEPS: dict[str, Step] = {
    "lstm": jozefowicz_lstm(),
    "lstm_f": jozefowicz_lstm("f"),
    "lstm_i": jozefowicz_lstm("i"),
    "lstm_o": jozefowicz_lstm("o"),
    "lstm_b": jozefowicz_lstm(),
    "gru": cho_gru,
    "elman": elman,
    "scrn": scrn,
    "nascell": zoph_nascell,
    "lstm_peephole": greff("V"),
    "lstm_cifg": greff("CIFG"),
    "lstm_fgr": greff("FGR"),
    "lstm_nig": greff("NIG"),
    "lstm_nfg": greff("NFG"),
    "lstm_nog": greff("NOG"),
    "lstm_niaf": greff("NIAF"),
    "lstm_noaf": greff("NOAF"),
}


def paper_cell(step: Step) -> Peer:
    """Returns the peer of one cell."""
    return unrolled(lambda x_t, states, weights: step(x_t, Affine(weights), *states))


PAPER_PEERS = {name: paper_cell(step) for name, step in STEPS.items()}
