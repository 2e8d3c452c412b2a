"""What units without weights do in a cell: whether it may be trained wider than it is."""

import torch

from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.program import CellProgram

NUM_STEPS = 64
LARGEST = 1e4


def stays_small_without_weights(program: CellProgram) -> bool:
    """Tells whether a unit whose weights and inputs are all zero keeps small states, starting from zero.

    Such a unit, of which padding consists, touches no other one as long as its numbers are finite: they are multiplied
    by zero. What grows at all beyond bounds does so at more than a constant rate, which a few steps show.
    """
    parameters = {}
    for spec in program.parameters:
        parameters[f"{spec.name}.weight"] = torch.zeros((1,) if spec.is_vector else (1, 1))
        if spec.bias:
            parameters[f"{spec.name}.bias"] = torch.zeros(1)
    states = (torch.zeros(1, 1, 1),) * len(program.states)
    with torch.no_grad():
        outputs, after = Interpreter(program)(torch.zeros(NUM_STEPS, 1, 1), states, parameters)
    return all(bool(values.abs().max() <= LARGEST) for values in (outputs, *after))
