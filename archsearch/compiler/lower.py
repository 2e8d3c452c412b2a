"""From a cell's graph to its program: pack the matrices, write the instructions of each part."""

from collections.abc import Callable, Iterable

from torch import nn

from archsearch.compiler.parts import part_nodes
from archsearch.compiler.program import (
    AFFINE,
    DELAY,
    GATHER,
    PEEPHOLE,
    PRODUCT,
    PROJECT,
    Axis,
    CellProgram,
    Instruction,
    Pack,
    ParameterSpec,
    Value,
    Width,
)
from archsearch.errors import ConfigError
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.structure import INPUT, OUTPUT_STATE, Node, Structure

INPUT_PROJECTION = "input_projection"
_PROJECTED = "x.projected"

# What a derivative reads: the value itself, or the operands. That of add, sub, affine and delay reads nothing; what
# is gathered is stored in any case.
_RESULT_IS_READ = frozenset({"tanh", "sigmoid", "relu", "leaky_relu"})
_OPERANDS_ARE_READ = frozenset({"mul", PRODUCT, PEEPHOLE, PROJECT, GATHER})


def lower(structure: Structure) -> CellProgram:
    """Lowers a valid cell; the same structure, in the same order of nodes, gives the same program.

    Raises:
        ConfigError: A node would keep its weights under the name of another one's, or of an attribute of modules.
    """
    return _Writer(structure).write()


class _Writer:
    """Writes the instructions of a program, part after part."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._parameter_names = _name_parameters(structure)
        self._packs: list[Pack] = []
        self._instructions: list[Instruction] = []
        self._axes: dict[str, Axis] = {INPUT: "time"}
        self._axes |= dict.fromkeys(structure.states, "state")

    def write(self) -> CellProgram:
        structure, parts = self._structure, part_nodes(self._structure)
        is_bare = _is_read_bare(structure)
        if is_bare:
            self._emit(PROJECT, (INPUT,), (_PROJECTED,), "time")
        self._emit_part(parts.prologue, "time", _bare)
        prologue = self._close_part()
        self._emit_part(parts.step, "step", _bare)
        step = self._close_part()
        self._emit_part(parts.epilogue, "time", self._at_all_times)
        new_states = tuple(
            _bare(structure.new_states[state])
            if state in parts.recurrent
            else self._at_all_times(structure.new_states[state])
            for state in structure.states
        )
        output = self._at_all_times(structure.new_states[OUTPUT_STATE])
        epilogue = self._close_part()
        return CellProgram(
            states=structure.states,
            recurrent=parts.recurrent,
            parameters=self._parameters(),
            packs=tuple(self._packs),
            values=self._values((*prologue, *step, *epilogue)),
            prologue=prologue,
            step=step,
            epilogue=epilogue,
            new_states=new_states,
            output=output,
            needs_input_projection=is_bare,
        )

    def _emit(
        self,
        operation: str,
        operands: tuple[str, ...],
        results: tuple[str, ...],
        axis: Axis,
        constants: tuple[float, ...] = (),
    ) -> None:
        self._instructions.append(Instruction(operation, operands, results, constants))
        self._axes |= dict.fromkeys(results, axis)

    def _close_part(self) -> tuple[Instruction, ...]:
        part, self._instructions = tuple(self._instructions), []
        return part

    def _emit_part(self, names: Iterable[str], axis: Axis, read: Callable[[str], str]) -> None:
        """Emits nodes in order; the first `linear` of a value brings the others of its part along, in one product."""
        groups: dict[str, list[str]] = {}
        for name in names:
            node = self._structure.nodes.get(name)
            if node is not None and node.primitive == "linear":
                groups.setdefault(node.operands[0], []).append(name)
        for name in names:
            node = self._structure.nodes.get(name)
            if name in self._axes and node is not None:
                continue  # came along with an earlier product
            if node is None:
                self._emit(DELAY, (name, read(self._structure.new_states[name])), (_delayed(name),), axis)
            elif node.primitive == "linear":
                source = node.operands[0]
                pack = self._add_pack(groups[source])
                operand = INPUT if source == INPUT else read(source)
                self._emit(PRODUCT, (operand, pack), tuple(groups[source]), axis)
            else:
                operands = tuple(read(operand) for operand in node.operands)
                if node.primitive == PEEPHOLE:
                    operands += (self._add_pack((name,)),)
                constants = (node.scale, node.shift) if node.primitive == AFFINE else ()
                self._emit(node.primitive, operands, (name,), axis, constants)

    def _add_pack(self, nodes: Iterable[str]) -> str:
        pack = Pack(f"w.{len(self._packs)}", tuple(self._parameter_names[name] for name in nodes))
        self._packs.append(pack)
        self._axes[pack.name] = "parameter"
        return pack.name

    def _at_all_times(self, name: str) -> str:
        """Returns the time value that holds a value of any part at all time steps, gathered if need be."""
        name = _bare(name)
        if self._axes[name] == "time":
            return name
        if _delayed(name) in self._axes:
            return _delayed(name)
        gathered = f"{name}.all"
        if gathered not in self._axes:
            self._emit(GATHER, (name,), (gathered,), "time")
        return gathered

    def _parameters(self) -> tuple[ParameterSpec, ...]:
        return tuple(_parameter(name, self._structure.nodes[key]) for key, name in self._parameter_names.items())

    def _values(self, instructions: Iterable[Instruction]) -> tuple[Value, ...]:
        saved: set[str] = set()
        for instruction in instructions:
            if instruction.operation in _RESULT_IS_READ:
                saved.update(instruction.results)
            if instruction.operation in _OPERANDS_ARE_READ:
                saved.update(instruction.operands)
        # a saved state is the new value of the step before
        saved.update(value for state, value in self._structure.new_states.items() if state in saved)
        packs_of_x = {
            instruction.operands[1]
            for instruction in instructions
            if instruction.operation == PRODUCT and instruction.operands[0] == INPUT
        }
        return tuple(
            Value(
                name,
                axis,
                "I" if name == INPUT or name in packs_of_x else "H",
                "save" if name in saved else "recompute",
            )
            for name, axis in self._axes.items()
        )


def _bare(name: str) -> str:
    return _PROJECTED if name == INPUT else name


def _delayed(state: str) -> str:
    return f"{state}.before"


def _parameter(name: str, node: Node) -> ParameterSpec:
    if node.primitive == PEEPHOLE:
        return ParameterSpec(name, "H", float(node.diagonal), bias=False, bias_init=0.0, is_vector=True)
    width: Width = "I" if node.operands[0] == INPUT else "H"
    return ParameterSpec(name, width, float(node.diagonal), bool(node.bias), float(node.bias_init))


def _is_read_bare(structure: Structure) -> bool:
    others = (node.operands for node in structure.nodes.values() if node.primitive != "linear")
    return any(INPUT in operands for operands in others) or INPUT in structure.new_states.values()


def _name_parameters(structure: Structure) -> dict[str, str]:
    """Returns for each node with weights, in the order of the nodes, the name under which they are kept."""
    names: dict[str, str] = {}
    module = nn.Module()  # not the class: much of what torch looks up in a module is set when it is made
    for key, node in structure.nodes.items():
        if not PRIMITIVES[node.primitive].has_weights:
            continue
        name = node.weights or key
        if name in names.values():
            raise ConfigError(_taken(key, name, "another node has"))
        if name == INPUT_PROJECTION or hasattr(module, name):
            raise ConfigError(_taken(key, name, "torch's modules or the layer itself need"))
        names[key] = name
    return names


def _taken(key: str, name: str, by: str) -> str:
    return (
        f"node {key!r}: its weights would be stored as {name!r}, a name that {by}. "
        "Expected a name of its own for each matrix and peephole. Rename it: linear(..., name=another_name)."
    )
