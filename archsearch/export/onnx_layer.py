"""One layer of a model in ONNX nodes: a node or two for each instruction of its program.

The prologue and the epilogue work on all time steps at once; the step is the body of a `Scan`, which sees the weights
from outside. In a model of one time step all three stand in a row.

Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from archsearch.compiler.cell_weights import tensors_by_name
from archsearch.compiler.interpreter import LEAKY_SLOPE
from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.program import AFFINE, DELAY, GATHER, PEEPHOLE, PRODUCT, PROJECT, Instruction
from archsearch.export.directions import Direction
from archsearch.export.onnx_nodes import LAST, Nodes

_OPERATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "add": "Add", "sub": "Sub", "mul": "Mul"}


class DirectionWriter:
    """Writes a program with the weights of one layer in one direction.

    A name that is none of a weight, an input or an output of the model begins with a slash. That of a value of the cell
    goes on with the layer and a second slash.
    """

    def __init__(self, nodes: Nodes, layer: RecurrentLayer, direction: Direction) -> None:
        self._nodes = nodes
        self._program = layer.program
        self._sizes = {"I": direction.input_size, "H": layer.hidden_size}
        self._stored = direction.stored
        self._tensors = tensors_by_name(direction.weights)
        self._packs: dict[str, tuple[str, str | None]] = {}

    def write_step(self, x: str, before: Mapping[str, str]) -> tuple[str, list[str]]:
        """Writes one time step, from `[B, I]` and the states to the output `[B, H]` and the new states."""
        program = self._program
        values = {"x": x, **before}
        for instruction in (*program.prologue, *program.step, *program.epilogue):
            if instruction.operation in (GATHER, DELAY):  # both give the state before the step, or the step's value
                values[instruction.results[0]] = values[instruction.operands[0]]
            else:
                self._write(instruction, values, self._nodes)
        return values[program.output], [values[value] for value in program.new_states]

    def write_sequence(self, x: str, before: Mapping[str, str]) -> tuple[str, list[str]]:
        """Writes all time steps, from `[T, B, I]` and the states to the output `[T, B, H]` and the last states."""
        program, nodes = self._program, self._nodes
        values = {"x": x}
        for instruction in program.prologue:
            self._write(instruction, values, nodes)
        after = self._write_scan(values, before)
        for instruction in program.epilogue:
            if instruction.operation == DELAY:
                state, sequence = instruction.operands
                result = self._name(instruction.results[0])
                row = nodes.add("Unsqueeze", [before[state], nodes.whole(0)], f"{result}/first")
                bounds = (nodes.whole(0), nodes.whole(LAST), nodes.whole(0))
                rest = nodes.add("Slice", [values[sequence], *bounds], f"{result}/rest")
                values[instruction.results[0]] = nodes.add("Concat", [row, rest], result, axis=0)
            elif instruction.operation != GATHER:  # the scan has given what is gathered
                self._write(instruction, values, nodes)
        for state, value in zip(program.states, program.new_states, strict=True):
            if state not in after:
                name = self._name(f"{state}/after")
                after[state] = nodes.add("Gather", [values[value], nodes.index(LAST)], name, axis=0)
        return values[program.output], [after[state] for state in program.states]

    def _write_scan(self, values: dict[str, str], before: Mapping[str, str]) -> dict[str, str]:
        """Writes the step over all time steps; adds what is gathered to the values, returns the states afterwards."""
        program = self._program
        if not program.recurrent:
            return {}
        # a scan takes its length from a sequence, so one that the step does not read counts the time steps
        streamed = program.streamed or ("x",)
        now = {name: self._name(f"{name}/now") for name in (*program.recurrent, *streamed)}
        carried = {now[state]: before[state] for state in program.recurrent}
        streams = {now[name]: values[name] for name in streamed}
        widths = {name: self._sizes[program.by_name[value].width] for value, name in now.items()}
        body = Nodes(self._nodes.stored)
        for instruction in program.step:
            self._write(instruction, now, body)
        new = dict(zip(program.states, program.new_states, strict=True))
        after = {state: self._name(f"{state}/after") for state in program.recurrent}
        results = {after[state]: now[new[state]] for state in program.recurrent}
        for gather in (instruction for instruction in program.epilogue if instruction.operation == GATHER):
            values[gather.results[0]] = self._name(gather.results[0])
            results[values[gather.results[0]]] = now[gather.operands[0]]
        widths |= dict.fromkeys(results, self._sizes["H"])
        self._nodes.scan(carried, streams, results, body, widths)
        return after

    def _write(self, instruction: Instruction, values: dict[str, str], nodes: Nodes) -> None:
        """Writes what is computed alike at one time step and at all of them."""
        operation, first = instruction.operation, values[instruction.operands[0]]
        result = values[instruction.results[0]] = self._name(instruction.results[0])
        if operation == PRODUCT:
            self._write_product(instruction, values, nodes)
        elif operation == PEEPHOLE:
            [member] = self._program.members[instruction.operands[1]]
            nodes.add("Mul", [first, self._weight(f"{member}.weight")], result)
        elif operation == AFFINE:
            scale, shift = (self._constant(constant) for constant in instruction.constants)
            nodes.add("Add", [nodes.add("Mul", [first, scale], f"{result}/scaled"), shift], result)
        elif operation == PROJECT:
            if f"{INPUT_PROJECTION}.weight" in self._tensors:
                nodes.add("MatMul", [first, self._transposed(f"{INPUT_PROJECTION}.weight")], result)
            else:
                values[instruction.results[0]] = first
        elif operation == "leaky_relu":
            nodes.add("LeakyRelu", [first], result, alpha=LEAKY_SLOPE)
        else:
            nodes.add(_OPERATIONS[operation], [values[operand] for operand in instruction.operands], result)

    def _write_product(self, instruction: Instruction, values: dict[str, str], nodes: Nodes) -> None:
        operand, pack = instruction.operands
        results = [self._name(result) for result in instruction.results]
        weight, bias = self._pack(pack)
        whole = results[0] if len(results) == 1 else self._name(f"{pack}/product")
        product = f"{whole}/unbiased" if bias else whole
        nodes.add("MatMul", [values[operand], weight], product)
        if bias:
            nodes.add("Add", [product, bias], whole)
        if len(results) > 1:
            sizes = np.full(len(results), self._sizes["H"], np.int64)
            nodes.add("Split", [whole, nodes.store(f"/split/{len(results)}", sizes)], *results, axis=-1)
        values.update(zip(instruction.results, results, strict=True))

    def _pack(self, pack: str) -> tuple[str, str | None]:
        """Returns the stacked and transposed matrices, `[width, members * H]`, and their biases if one has a bias."""
        if pack not in self._packs:
            members = self._program.members[pack]
            name = self._name(pack)
            weights = [self._weight(f"{member}.weight") for member in members]
            stacked = weights[0]
            if len(weights) > 1:
                stacked = self._nodes.add("Concat", weights, f"{name}/weight", axis=0)
            weight = self._nodes.add("Transpose", [stacked], f"{name}/transposed", perm=[1, 0])
            self._packs[pack] = weight, self._biases(members, f"{name}/bias")
        return self._packs[pack]

    def _biases(self, members: tuple[str, ...], name: str) -> str | None:
        has_bias = [f"{member}.bias" in self._tensors for member in members]
        if not any(has_bias):
            return None
        zero = self._nodes.store("/zero", np.zeros(self._sizes["H"], np.float32)) if not all(has_bias) else ""
        biases = [
            self._weight(f"{member}.bias") if has else zero for member, has in zip(members, has_bias, strict=True)
        ]
        return biases[0] if len(biases) == 1 else self._nodes.add("Concat", biases, name, axis=0)

    def _transposed(self, weight: str) -> str:
        return self._nodes.add("Transpose", [self._weight(weight)], self._name(f"{weight}/transposed"), perm=[1, 0])

    def _weight(self, name: str) -> str:
        return self._nodes.store(f"{self._stored}.{name}", _as_float32(self._tensors[name]))

    def _constant(self, number: float) -> str:
        return self._nodes.store(f"/constant/{number!r}", np.array(number, np.float32))

    def _name(self, value: str) -> str:
        return f"/{self._stored}/{value}"


def _as_float32(weight: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = weight.detach().float().cpu().contiguous().numpy()
    return array
