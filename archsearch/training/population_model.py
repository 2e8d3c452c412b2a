"""Many models of one cell, run side by side on minibatches of a few shapes.

Shapes: `P` members, `T` time steps, `B` sequences, `H` hidden units.
"""

from dataclasses import dataclass
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from archsearch.compiler.program import CellProgram
from archsearch.compiler.vectorized.layer_pass import PopulationPass
from archsearch.training.losses import LOSSES
from archsearch.training.population_data import Shape
from archsearch.training.population_ends import Readouts, population_input
from archsearch.training.population_layout import PopulationWeights
from archsearch.trials.interface import Interface


@dataclass(frozen=True)
class Layers:
    """The passes of all layers for minibatches of one shape, the lowest first.

    Each reads its inputs where the one below wrote its outputs, and so with their gradients.
    """

    passes: tuple[PopulationPass, ...]

    @property
    def inputs(self) -> Tensor:
        """`[P, T, B, H]`, what the lowest layer reads."""
        return self.passes[0].inputs

    @property
    def d_inputs(self) -> Tensor:
        """Its gradient."""
        return self.passes[0].d_inputs

    @property
    def outputs(self) -> Tensor:
        """`[P, T, B, H]`, what the highest layer gives."""
        return self.passes[-1].outputs

    @property
    def d_outputs(self) -> Tensor:
        """Its gradient."""
        return self.passes[-1].d_outputs

    def forward(self, fresh: Tensor, carried: "CarriedStates") -> None:
        """Runs all layers from the states carried, and carries on those after the last step.

        Args:
            fresh: `[P, 1, H]` or `[P, 1, 1]` bool, units whose states are zero before the first step.
            carried: From one minibatch to the next.
        """
        for level, layer in enumerate(self.passes):
            states = carried.of(level, layer)
            for name, before in layer.before.items():
                before.copy_(torch.where(fresh, 0.0, states[name]))
            layer.forward()
            for name, state in states.items():
                state.copy_(layer.after[name])

    def backward(self) -> None:
        """Runs all layers backward from `d_outputs`, down to `d_inputs`."""
        for layer in reversed(self.passes):
            layer.backward()


class CarriedStates:
    """The states of all layers between two minibatches, in memory that stays; minibatches of other sizes have others.

    Zeros at first. Numbers of sequences only grow on the way, see `Shaper`: larger memory takes over what the smaller
    one held, since one stream may go on where another begins with more sequences than there were.
    """

    def __init__(self) -> None:
        self._states: dict[tuple[int, int], dict[str, Tensor]] = {}

    def of(self, level: int, layer: PopulationPass) -> dict[str, Tensor]:
        """Returns the states of a layer by name, `[P, B, H]` each."""
        key = (level, layer.inputs.shape[2])
        if key not in self._states:
            held = max((size for own, size in self._states if own == level and size < key[1]), default=0)
            self._states[key] = {name: torch.zeros_like(before) for name, before in layer.before.items()}
            for name, state in self._states[key].items() if held else ():
                state[:, :held].copy_(self._states[level, held][name])
        return self._states[key]

    def of_members(self, members: Tensor) -> "CarriedStates":
        """Returns a copy for some of the members."""
        copy = CarriedStates()
        for key, states in self._states.items():
            copy._states[key] = {name: state.index_select(0, members) for name, state in states.items()}
        return copy


class PopulationModel:
    """Models that share a cell and the number of layers; weights and widths are their own.

    Args:
        program: The cell.
        interface: What is read and predicted.
        num_layers: Stacked layers.
        weights: Of the members.
        kernels: What computes the layers: `torch` or `triton`.
        precision: Of the layers' products, see `PopulationPass`.

    Attributes:
        weights: Of the members.
        input: The end that reads.
        readout: The end that predicts.
    """

    def __init__(
        self,
        program: CellProgram,
        interface: Interface,
        num_layers: int,
        weights: PopulationWeights,
        kernels: str,
        precision: str = "full",
    ) -> None:
        self.weights = weights
        self.input = population_input(weights, interface)
        self.readout = Readouts(weights, LOSSES[interface.loss])
        self._program, self._kernels, self._precision = program, kernels, precision
        self._layers = [
            (weights.layer(weights.values, number), weights.layer(weights.gradients, number))
            for number in range(num_layers)
        ]
        self._by_shape: WeakValueDictionary[Shape, Layers] = WeakValueDictionary()

    def layers(self, shape: Shape) -> Layers:
        """Returns the passes for minibatches of a shape; they live as long as somebody holds them."""
        layers = self._by_shape.get(shape)
        if layers is None:
            layers = self._by_shape[shape] = self._make_layers(shape)
        return layers

    def fresh(self, starts: Tensor) -> Tensor:
        """Returns the units whose states are zero before a minibatch: of members that begin anew, and all padding."""
        fresh = starts[:, None, None]
        padding = self.weights.is_padding
        return fresh if padding is None else fresh | padding[:, None]

    def _make_layers(self, shape: Shape) -> Layers:
        values, hidden_size = self.weights.values, self.weights.hidden_size
        passes: list[PopulationPass] = []
        for weights, gradients in self._layers:
            below = passes[-1] if passes else None
            passes.append(
                PopulationPass(
                    self._program,
                    weights,
                    gradients,
                    *shape,
                    hidden_size,
                    hidden_size,
                    len(values),
                    kernels=self._kernels,
                    precision=self._precision,
                    inputs=None if below is None else below.outputs,
                    d_inputs=None if below is None else below.d_outputs,
                    like=values,
                )
            )
        return Layers(tuple(passes))
