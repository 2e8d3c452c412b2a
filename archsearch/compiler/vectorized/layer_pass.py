"""One layer's passes for many members at once, slowly and obviously: each member by the interpreter and autograd."""

from collections.abc import Mapping

import torch
from torch import Tensor

from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.program import CellProgram


class PopulationPass:
    """Forward and backward pass of one layer for `P` members, in memory that stays.

    Shapes: `P` members, `T` steps, `B` sequences, `H` hidden units.
    """

    def __init__(
        self,
        program: CellProgram,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        num_steps: int,
        batch_size: int,
        input_size: int,
        hidden_size: int,
        num_members: int,
        *,
        kernels: str = "torch",  # noqa: ARG002 - one way is slow enough
        inputs: Tensor | None = None,
        d_inputs: Tensor | None = None,
        like: Tensor | None = None,
    ) -> None:
        self._program, self._weights, self._gradients = program, weights, gradients
        like = next(iter(weights.values())) if like is None else like
        self._run = Interpreter(program)
        shape = (num_members, num_steps, batch_size)
        self.inputs = like.new_zeros(*shape, input_size) if inputs is None else inputs
        self.d_inputs = like.new_zeros(*shape, input_size) if d_inputs is None else d_inputs
        self.outputs, self.d_outputs = (like.new_zeros(*shape, hidden_size) for _ in range(2))
        state = (num_members, batch_size, hidden_size)
        self.before = {name: like.new_zeros(state) for name in program.states}
        self.after = {name: like.new_zeros(state) for name in program.states}
        self._kept: list[tuple[Tensor, Tensor, dict[str, Tensor]]] = []

    def forward(self) -> None:
        """Runs all members forward."""
        self._kept = []
        for member in range(len(self.inputs)):
            x = self.inputs[member].clone().requires_grad_()
            parameters = {name: tensor[member].clone().requires_grad_() for name, tensor in self._weights.items()}
            with torch.enable_grad():
                states = tuple(self.before[name][member] for name in self._program.states)
                output, after = self._run(x, states, parameters)
            self.outputs[member] = output.detach()
            for name, state in zip(self._program.states, after, strict=True):
                self.after[name][member] = state.detach()
            self._kept.append((output, x, parameters))

    def backward(self) -> None:
        """Runs all members backward."""
        for member, (output, x, parameters) in enumerate(self._kept):
            wanted = [x, *parameters.values()]
            found = torch.autograd.grad(output, wanted, self.d_outputs[member], allow_unused=True)
            dense = [torch.zeros_like(of) if grad is None else grad for grad, of in zip(found, wanted, strict=True)]
            self.d_inputs[member] = dense[0]
            for name, gradient in zip(parameters, dense[1:], strict=True):
                self._gradients[name][member] = gradient
