"""The cells of the package torchrecurrent as peers: `from shared_zoo_torchrecurrent import TORCHRECURRENT_PEERS`.

What differs there is said where it is made up for: it has a matrix and a bias in some places where the papers have
none, which are set to the identity and to zero. Its NASCell is no peer: it adds the fourth pair of matrices, which
the author's code multiplies.
"""

from dataclasses import dataclass, field

import torch
import torchrecurrent
from shared_zoo_numbers import HIDDEN_SIZE, Peer, Weights, unrolled
from torch import Tensor

ZERO, IDENTITY = "0", "1"


@dataclass(frozen=True)
class TheirCell:
    """A cell of torchrecurrent.

    Attributes:
        kind: Its class, without `Cell`.
        tensors: For each of its tensors the names of our weights that it stacks; `0` is a bias that the paper does not
            have, `1` a matrix that it does not have. Tensors that are not named are biases, and zero.
        options: Of the constructor.
        reads_bare_input: Whether x is used without a matrix, so that it is as wide as the states.
    """

    kind: str
    tensors: dict[str, str]
    options: dict[str, object] = field(default_factory=dict)
    reads_bare_input: bool = False


CELLS = {
    "lstm_1997": TheirCell(
        "OriginalLSTM",
        {
            "weight_ih": "input_1 candidate_1 output_1",
            "weight_hh": "input_2 candidate_2 output_2",
            "bias_ih": "input_1 candidate_1 output_1",
        },
    ),
    "lstm_peephole": TheirCell(
        "PeepholeLSTM",
        {
            "weight_ih": "input_1 forget_1 candidate_1 output_1",
            "weight_hh": "input_2 forget_2 candidate_2 output_2",
            "weight_ph": "input_c forget_c output_c",
            "bias_hh": "input_1 forget_1 candidate_1 output_1",
        },
    ),
    "lstm_wmc": TheirCell(
        "WMCLSTM",
        {
            "weight_ih": "input_1 forget_1 candidate_1 output_1",
            "weight_hh": "input_2 forget_2 candidate_2 output_2",
            "weight_mh": "input_memory forget_memory output_memory",
            "bias_ih": "input_1 forget_1 candidate_1 output_1",
            "bias_mh": "input_memory forget_memory output_memory",
        },
    ),
    "residual_lstm": TheirCell(
        "ResLSTM",
        {
            "weight_ih": "input_1 forget_1 candidate_1 output_1",
            "weight_hh": "input_2 forget_2 candidate_2 output_2",
            "weight_ph": "input_c forget_c output_c",
            "weight_proj": "projection",
            "weight_res": "residual",
            "bias_hh": "input_1 forget_1 candidate_1 output_1",
        },
    ),
    "mlstm": TheirCell(
        "MultiplicativeLSTM",
        {
            "weight_ih": "multiplicative_1 input_1 forget_1 candidate_1 output_1",
            "weight_hh": "multiplicative_2",
            "weight_mh": "input_2 forget_2 candidate_2 output_2",
            "bias_ih": "0 input_1 forget_1 candidate_1 output_1",
        },
    ),
    "mgu": TheirCell(
        "MGU", {"weight_ih": "forget_1 new_1", "weight_hh": "forget_2 new_2", "bias_ih": "forget_1 new_1"}
    ),
    "ugrnn": TheirCell(
        "UGRNN", {"weight_ih": "new_1 update_1", "weight_hh": "new_2 update_2", "bias_hh": "new_1 update_1"}
    ),
    "janet": TheirCell(
        "JANET", {"weight_ih": "forget_1 new_1", "weight_hh": "forget_2 new_2", "bias_ih": "forget_1 new_1"}
    ),
    "ran": TheirCell(
        "RAN",
        {"weight_ih": "content input_1 forget_1", "weight_hh": "input_2 forget_2", "bias_hh": "input_1 forget_1"},
    ),
    "atr": TheirCell("ATR", {"weight_ih": "input", "weight_hh": "recurrent", "bias_hh": "recurrent"}),
    "brc": TheirCell(
        "BR",
        {
            "weight_ih": "modulation update new",
            "weight_hh": "modulation_h update_h",
            "bias_ih": "modulation update 0",
        },
    ),
    "nbrc": TheirCell(
        "NBR",
        {
            "weight_ih": "modulation_1 update_1 new",
            "weight_hh": "modulation_2 update_2",
            "bias_ih": "modulation_1 update_1 0",
        },
    ),
    "cfn": TheirCell(
        "CFN",
        {
            "weight_ih": "forget_1 input_1 content",
            "weight_hh": "forget_2 input_2",
            "bias_ih": "forget_1 input_1 0",
        },
    ),
    "indrnn": TheirCell(
        "IndRNN", {"weight_ih": "new", "vector_u": "recurrent", "bias_ih": "new"}, {"nonlinearity": "relu"}
    ),
    "intersection_rnn": TheirCell(
        "IntersectionRNN",
        {
            "weight_ih": "depth_1 new_1 output_gate_1 update_1",
            "weight_hh": "depth_2 new_2 output_gate_2 update_2",
            "bias_ih": "depth_1 new_1 output_gate_1 update_1",
        },
        reads_bare_input=True,
    ),
    "light_ru": TheirCell("LightRU", {"weight_ih": "new forget_1", "weight_hh": "forget_2", "bias_ih": "new forget_1"}),
    "ligru": TheirCell(
        "LiGRU", {"weight_ih": "update_1 new_1", "weight_hh": "update_2 new_2", "bias_ih": "update_1 new_1"}
    ),
    "minimal_rnn": TheirCell(
        "MinimalRNN",
        {
            "weight_ih": "encoder",
            "weight_hh": "update_1",
            "weight_mm": "update_2",
            "bias_ih": "encoder",
            "bias_hh": "update_1",
        },
    ),
    "star": TheirCell("STAR", {"weight_ih": "new gate_1", "weight_hh": "gate_2", "bias_ih": "new gate_1"}),
    "t_rnn": TheirCell("TRNN", {"weight_ih": "content forget", "bias_ih": "0 forget"}),
    # it puts a matrix on x where the paper has none
    "mut1": TheirCell(
        "MUT1",
        {
            "weight_ih": "update reset_1 1",
            "weight_hh": "reset_2 new",
            "bias_ih": "update reset_1 0",
            "bias_hh": "0 new",
        },
        reads_bare_input=True,
    ),
    "mut2": TheirCell(
        "MUT2",
        {
            "weight_ih": "update_1 1 new_2",
            "weight_hh": "update_2 reset new_1",
            "bias_ih": "update_1 0 0",
            "bias_hh": "0 reset new_1",
        },
        reads_bare_input=True,
    ),
    "mut3": TheirCell(
        "MUT3",
        {
            "weight_ih": "update_1 reset_1 new_2",
            "weight_hh": "update_2 reset_2 new_1",
            "bias_ih": "update_1 reset_1 0",
            "bias_hh": "0 0 new_1",
        },
    ),
}


def stacked(key: str, names: str, weights: Weights) -> Tensor:
    """Returns one tensor of theirs."""
    kind = "bias" if key.startswith("bias") else "weight"
    reference = next(iter(weights.values()))
    fixed = {ZERO: reference.new_zeros(HIDDEN_SIZE), IDENTITY: torch.eye(HIDDEN_SIZE, dtype=reference.dtype)}
    return torch.cat([fixed[name] if name in fixed else weights[f"{name}.{kind}"] for name in names.split()])


def their_cell(name: str) -> Peer:
    """Returns the peer of one cell."""
    theirs = CELLS[name]

    def step(x_t: Tensor, states: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, ...]:
        kind = getattr(torchrecurrent, f"{theirs.kind}Cell")
        cell = kind(x_t.shape[-1], HIDDEN_SIZE, dtype=x_t.dtype, **theirs.options)
        parameters = dict(cell.named_parameters())
        beta = parameters.pop("beta", None)  # of JANET: 1 in the paper, there the first value of a weight
        assert beta is None or beta == 1
        tensors = {key: torch.zeros_like(tensor) for key, tensor in parameters.items()}
        assert {key for key in tensors if not key.startswith("bias")} <= set(theirs.tensors) <= set(tensors)
        tensors |= {key: stacked(key, names, weights) for key, names in theirs.tensors.items()}
        if theirs.kind == "JANET":  # its h and c are one state
            return torch.func.functional_call(cell, tensors, (x_t, (states[0], states[0])))[:1]
        if theirs.kind == "IntersectionRNN":  # gives its output beside its state, and reads the state alone
            return torch.func.functional_call(cell, tensors, (x_t, states[1]))
        after = torch.func.functional_call(cell, tensors, (x_t, states if len(states) > 1 else states[0]))
        return after if len(states) > 1 else (after,)

    return unrolled(step)


TORCHRECURRENT_PEERS = {name: their_cell(name) for name in CELLS}
BARE_INPUT = frozenset(name for name, cell in CELLS.items() if cell.reads_bare_input)
