"""The recipes of NAS-Bench-NLP.

Source: Klyuchnikov 2020, NAS-Bench-NLP: neural architecture search benchmark for natural language processing, and the
authors' released code; arXiv 2006.07116.
"""

import re
from collections.abc import Mapping

from numpy.typing import ArrayLike

from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import INPUT, Node, Structure
from archsearch.interop.foreign_arrays import pick_arrays
from archsearch.interop.recipes import Recipe, read_recipe
from archsearch.interop.safe_names import safe_names

_ACTIVATIONS = {
    "activation_tanh": "tanh",
    "activation_sigm": "sigmoid",
    "activation_leaky_relu": "leaky_relu",  # torch's default slope, 0.01, in both
}
_ELEMENTWISE = {"elementwise_sum": "add", "elementwise_prod": "mul"}
_WEIGHT_KEY = re.compile(r"(?:.*\.)?(?P<place>components\..*\.(?:weights\.[0-9]+|bias))", re.DOTALL)


def from_nas_bench_nlp(recipe: Mapping[str, Mapping[str, object]]) -> CellGraph:
    """Reads a recipe: for each node its `op` and its `input`, a list of nodes and of `x`, `h_prev_0`, `h_prev_1`, ….

    The new states are the nodes `h_new_0`, `h_new_1`, …; they become the states `h`, the output, and `h_1`, `h_2`, ….
    `linear` has a matrix for each input and one bias. The matrices of a node `f` are the weights `f_1`, `f_2`, …, in
    the order of its inputs, and its bias is that of `f_1`; see `nas_bench_nlp_weights`. `blend` of z, a and b is
    `z*a + (1-z)*b`. Sums and products may have more than two inputs. Names that cannot stand in equations are changed
    to ones that can.

    A node that no new state needs is checked and left out, and its weights with it; with these left out, parameters
    count as they do there. The recipe may have 2,000 nodes, and what is left of it may become 2,000 primitives.

    Raises:
        InvalidGraphError: The recipe breaks a rule. All broken rules are listed, each with its node.
    """
    return _Writer(read_recipe(recipe)).write()


def nas_bench_nlp_weights(
    recipe: Mapping[str, Mapping[str, object]], arrays: Mapping[str, ArrayLike]
) -> dict[str, ArrayLike]:
    """Returns the weights of a foreign cell under the names that `load_weights` of a layer of the recipe's cell takes.

    Args:
        recipe: As `from_nas_bench_nlp` takes it.
        arrays: The state dict of the foreign cell or of a module around it: for each `linear` node
            `components.NODE.weights.K` `[H, I or H]` and `components.NODE.bias` `[H]`, all that the cell needs and
            those of one layer. Other entries, and those of nodes that no new state needs, are passed over.

    Raises:
        InvalidGraphError: The recipe breaks a rule.
        ConfigError: An array that the cell needs is missing, or is there twice.
    """
    read = read_recipe(recipe)
    places: dict[str, str] = {}
    for name, safe in _names(read).items():
        node = read.nodes[name]
        if node.op == "linear":
            places |= {f"components.{name}.weights.{index}": f"{safe}_{index + 1}" for index in range(len(node.inputs))}
            places[f"components.{name}.bias"] = f"{safe}_1.bias"
    found = pick_arrays("nas_bench_nlp_weights", arrays, _WEIGHT_KEY, places)
    return {places[place]: array for place, (_, array) in found.items()}


def _names(recipe: Recipe) -> dict[str, str]:
    return safe_names(recipe.needed, {INPUT, *recipe.states.values()})


class _Writer:
    """Writes a recipe that breaks no rule as nodes, operands before users."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._names = _names(recipe)
        self._values = {INPUT: INPUT, **recipe.states, **self._names}
        self._taken = set(self._values.values())
        self._nodes: dict[str, Node] = {}
        self._num_fresh = 0

    def write(self) -> CellGraph:
        for name in self._recipe.needed:
            self._write_node(name)
        states = self._recipe.states
        new_states = {state: self._names[f"h_new_{old.rpartition('_')[2]}"] for old, state in states.items()}
        return CellGraph.from_structure(Structure(tuple(states.values()), self._nodes, new_states))

    def _write_node(self, name: str) -> None:
        node, result = self._recipe.nodes[name], self._names[name]
        inputs = [self._values[value] for value in node.inputs]
        if node.op in _ACTIVATIONS:
            self._nodes[result] = Node(_ACTIVATIONS[node.op], (inputs[0],))
        elif node.op in _ELEMENTWISE:
            self._combine(_ELEMENTWISE[node.op], inputs, result)
        elif node.op == "blend":
            gate, first, second = inputs
            difference = self._add(Node("sub", (first, second)))
            product = self._add(Node("mul", (gate, difference)))
            self._nodes[result] = Node("add", (second, product))
        else:
            assert node.op == "linear"  # read_recipe knows no other
            matrices = [
                Node("linear", (value,), bias=number == 1, weights=f"{result}_{number}")
                for number, value in enumerate(inputs, start=1)
            ]
            if len(matrices) == 1:
                self._nodes[result] = matrices[0]
            else:
                self._combine("add", [self._add(matrix) for matrix in matrices], result)

    def _combine(self, primitive: str, values: list[str], result: str) -> None:
        total = values[0]
        for value in values[1:-1]:
            total = self._add(Node(primitive, (total, value)))
        self._nodes[result] = Node(primitive, (total, values[-1]))

    def _add(self, node: Node) -> str:
        while True:
            self._num_fresh += 1
            name = f"{node.primitive}_{self._num_fresh}"
            if name not in self._taken:
                self._nodes[name] = node
                return name
