"""Populations of one layer beside the same members alone: `from shared_passes import Population`."""

import torch
from shared_unrolling import LARGEST, MAX_ERROR, draw_parameters, worst_error

from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.lower import lower
from archsearch.compiler.vectorized.flat_weights import FlatWeights
from archsearch.compiler.vectorized.layer_pass import PopulationPass


class Population:
    """Members of a cell with weights, inputs, states and gradients of their own, in float64 unless said otherwise.

    Shapes: 3 members, 4 steps, 2 sequences, 6 features and units.
    """

    num_members, num_steps, batch_size, size = 3, 4, 2, 6

    def __init__(self, structure, seed=0, dtype=torch.float64, **options):
        self.program = lower(structure)
        self.flat = FlatWeights(self.program, self.size, self.size)
        generator = torch.Generator().manual_seed(seed)
        rows, self.d_rows = (torch.zeros(self.num_members, self.flat.length, dtype=dtype) for _ in range(2))
        self.weights, self.gradients = self.flat.views(rows), self.flat.views(self.d_rows)
        for member in range(self.num_members):
            drawn = draw_parameters(structure, self.size, self.size, generator)
            for name, tensor in drawn.items():
                self.weights[name][member] = tensor.detach() / 2
        sizes = (self.num_steps, self.batch_size, self.size, self.size, self.num_members)
        self.layer = PopulationPass(self.program, self.weights, self.gradients, *sizes, like=rows, **options)

        def draw(like):
            return torch.randn(like.shape, generator=generator, dtype=torch.float64) / 2

        self.layer.inputs.copy_(draw(self.layer.inputs))
        self.layer.d_outputs.copy_(draw(self.layer.d_outputs))
        for state in self.layer.before.values():
            state.copy_(draw(state))
        self.before = {name: state.clone() for name, state in self.layer.before.items()}

    def run(self):
        """Runs both passes and returns all that they give, by name, members first."""
        layer = self.layer
        layer.forward()
        layer.backward()
        found = {"outputs": layer.outputs, "d_inputs": layer.d_inputs, **self.gradients}
        return found | {f"last {name}": state for name, state in layer.after.items()}

    def expected(self, member):
        """Returns the same of one member, by the interpreter and autograd in float64."""

        def leaf(tensor):
            return tensor.detach().double().clone().requires_grad_()

        x = leaf(self.layer.inputs[member])
        weights = {name: leaf(tensor[member]) for name, tensor in self.weights.items()}
        zeros = torch.zeros(1, self.batch_size, self.size, dtype=torch.float64)
        states = tuple(
            self.before[name][member, None].double() if name in self.before else zeros for name in self.program.states
        )
        outputs, after = Interpreter(self.program)(x, states, weights)
        last = {f"last {name}": state[0] for name, state in zip(self.program.states, after, strict=True)}
        found = last | {"outputs": outputs}
        names = ("d_inputs", *weights)
        wanted = (x, *weights.values())
        gradients = tuple(torch.zeros_like(tensor) for tensor in wanted)
        if outputs.requires_grad:
            loss = (outputs * self.layer.d_outputs[member].double()).sum()
            gradients = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
        return found | dict(zip(names, gradients, strict=True))


def assert_members_equal(population, max_error=MAX_ERROR):
    found = {name: tensor.detach().clone() for name, tensor in population.run().items()}
    for member in range(population.num_members):
        expected = population.expected(member)
        if not all(float(tensor.detach().abs().max()) < LARGEST for tensor in expected.values()):
            continue  # squares of squares
        names = list(found)
        error, index = worst_error([found[name][member] for name in names], [expected[name] for name in names])
        assert error <= max_error, f"member {member}, {names[index]}"
