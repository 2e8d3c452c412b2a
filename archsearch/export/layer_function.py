"""Writes a program as one readable Python function that runs a layer over a sequence."""

import builtins
import keyword
from collections import Counter
from collections.abc import Sequence
from itertools import chain, count

from archsearch.compiler.program import DELAY, GATHER, PEEPHOLE, PRODUCT, PROJECT, CellProgram, Instruction
from archsearch.export.formulas import Expression, write_formula
from archsearch.export.line_breaks import MAX_LINE, bracketed, targets
from archsearch.graph.given_names import is_given
from archsearch.graph.number_text import ATOM, SUM

_MAX_INLINED = 36
_MAX_NAME = 24  # of a variable, so that no line with two of them is too long
_TAKEN = frozenset({"weights", "states", "torch", "linear", "math", "nn", "Tensor", "new_states", "_"})
_AMBIGUOUS = frozenset({"l", "O", "I"})  # look like digits, or like each other

HEAD = '''\
def _run_layer(weights: _Weights, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Runs one layer: `[T, B, I]` inputs and `[B, H]` states to `[T, B, H]` outputs and new states."""
'''


def write_layer_function(program: CellProgram) -> str:
    """Returns the source of `_run_layer(weights, x, states)`, with all that depends on `x` alone before the loop."""
    return HEAD + "\n".join(_Writer(program).lines()) + "\n"


def attribute(name: str) -> str | None:
    """Returns `.name`, or None where Python reads a name after a dot in another way."""
    # two underscores first: renamed inside a class
    return None if keyword.iskeyword(name) or name.startswith("__") else f".{name}"


class _Writer:
    """Names values and writes the parts of one program; a short value that nobody named stands where it is read."""

    def __init__(self, program: CellProgram) -> None:
        self._program = program
        self._used_names = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *_TAKEN, *_AMBIGUOUS, "x"}
        self._states = {state: self._unique(state) for state in program.states}
        self._all, self._now = self._name_values()
        self._lists = {name: self._unique(f"{self._all[name]}_steps") for name in self._all}
        self._packs = {pack.name: self._unique(pack.name.replace(".", "_")) for pack in program.packs}
        self._biases = self._name_biases()
        self._inlined: dict[str, Expression] = {}
        parts = (program.prologue, program.step, program.epilogue)
        self._reads = Counter(name for part in parts for instruction in part for name in instruction.operands)
        # what leaves its part needs a name
        self._reads.update(name for name in (*program.new_states, *program.streamed, program.output) for _ in range(2))
        self._reads.update(name for name in program.gathered for _ in range(2))

    def lines(self) -> list[str]:
        program = self._program
        lines = self._unpacked_states()
        if program.prologue:
            lines += ["    # what depends on x alone, for all time steps at once"]
            lines += self._part(program.prologue, self._all, "    ")
        if program.recurrent:
            lines += self._loop()
        gathers = [instruction for instruction in program.epilogue if instruction.operation == GATHER]
        rest = [instruction for instruction in program.epilogue if instruction.operation != GATHER]
        for gather in gathers:
            lines.append(f"    {self._all[gather.results[0]]} = torch.stack({self._lists[gather.results[0]]})")
        if rest:
            lines += ["    # what no later step reads, for all time steps at once"]
            lines += self._part(rest, self._all, "    ")
        return lines + self._returned()

    def _returned(self) -> list[str]:
        program = self._program
        news = zip(program.states, program.new_states, strict=True)
        last = [
            self._states[state] if state in program.recurrent else f"{self._all[value]}[-1]" for state, value in news
        ]
        whole = f"    return {self._all[program.output]}, ({', '.join(last)}{',' * (len(last) == 1)})"
        if len(whole) <= MAX_LINE:
            return [whole]
        return [*bracketed("    new_states = ", "(", last, ")"), f"    return {self._all[program.output]}, new_states"]

    def _unique(self, name: str) -> str:
        # no underscores in front: they would say that nobody reads the variable
        name = name.lstrip("_")[:_MAX_NAME] or "value"
        name = f"v{name}" if name[0].isdigit() else name
        others = chain([name, f"{name}_"], (f"{name}_{number}" for number in count(2)))
        free = next(other for other in others if other not in self._used_names)
        self._used_names.add(free)
        return free

    def _name_values(self) -> tuple[dict[str, str], dict[str, str]]:
        """Returns the names of values at all time steps, and at the present one."""
        program = self._program
        everywhere, now = {"x": "x"}, dict(self._states)
        states_of = {value: state for state, value in zip(program.states, program.new_states, strict=True)}
        gathered = {gather.results[0]: gather.operands[0] for gather in program.epilogue if gather.operation == GATHER}
        for value in program.values:
            base = value.name.replace(".", "_")
            if value.axis == "step" or value.name in program.streamed:
                is_new_state = value.axis == "step" and value.name in states_of
                now[value.name] = self._unique(f"{states_of[value.name]}_new" if is_new_state else base)
            if value.name == program.output and value.name != "x":
                everywhere[value.name] = self._unique("output")
            elif value.name in gathered:
                everywhere[value.name] = self._unique(f"{now[gathered[value.name]]}_all")
            elif value.axis == "time" and value.name != "x":
                everywhere[value.name] = self._unique(f"{base}_all")
        return everywhere, now

    def _name_biases(self) -> dict[str, str]:
        """Returns a name for the biases of each pack that has any."""
        with_bias = {spec.name for spec in self._program.parameters if spec.bias}
        packs = [pack for pack in self._program.packs if with_bias.intersection(pack.members)]
        return {pack.name: self._unique(pack.name.replace("w.", "b_")) for pack in packs}

    def _unpacked_states(self) -> list[str]:
        program = self._program
        read = {instruction.operands[0] for instruction in program.epilogue if instruction.operation == DELAY}
        read |= set(program.recurrent)
        names = [self._states[state] if state in read else "_" for state in program.states]
        if not read:
            return []
        lead = f"    ({names[0]},)" if len(names) == 1 else targets("    ", names)
        return f"{lead} = states".splitlines()

    def _loop(self) -> list[str]:
        program = self._program
        lines = ["    # one time step after the other"]
        for instruction in program.step:
            lines += self._weights(instruction, "    ", transposed=True)
        gathers = [instruction for instruction in program.epilogue if instruction.operation == GATHER]
        lines += [f"    {self._lists[gather.results[0]]} = []" for gather in gathers]
        streams = [self._all[name] for name in program.streamed]
        arrivals = targets("    for ", [self._now[name] for name in program.streamed])
        if len(streams) > 1:
            lines += bracketed(f"{arrivals} in ", "zip(", [*streams, "strict=True"], "):")
        else:
            lines.append(f"{arrivals} in {streams[0]}:" if streams else "    for _ in range(len(x)):")
        lines += self._part(program.step, self._now, " " * 8)
        for gather in gathers:
            lines.append(f"        {self._lists[gather.results[0]]}.append({self._now[gather.operands[0]]})")
        news = dict(zip(program.states, program.new_states, strict=True))
        moved = [state for state in program.recurrent if news[state] != state]
        if moved:
            old, new = [self._states[state] for state in moved], [self._now[news[state]] for state in moved]
            whole = f"        {', '.join(old)} = {', '.join(new)}"
            broken = bracketed(f"{targets(' ' * 8, old)} = ", "(", new, ")")
            lines += [whole] if len(whole) <= MAX_LINE else broken
        return lines

    def _part(self, part: Sequence[Instruction], names: dict[str, str], pad: str) -> list[str]:
        lines: list[str] = []
        here = {name for instruction in part for name in instruction.operands if instruction.operation != DELAY}
        for instruction in part:
            if names is self._all:
                lines += self._weights(instruction, pad, transposed=False)
            expression = self._expression(instruction, names)
            result = instruction.results[0]
            is_passing = self._reads[result] == 1 and result in here and not is_given(result)
            if len(instruction.results) > 1:
                given = targets(pad, [names[name] for name in instruction.results])
                chunks = f"{expression.within(ATOM)}.chunk({len(instruction.results)}, -1)"
                lines += f"{given} = {chunks}".splitlines()
            elif is_passing and len(expression.text) <= _MAX_INLINED:
                self._inlined[result] = expression
            else:
                lines.append(f"{pad}{names[result]} = {expression.text}")
        return lines

    def _expression(self, instruction: Instruction, names: dict[str, str]) -> Expression:
        operation, operands = instruction.operation, instruction.operands
        if operation == PROJECT:
            return Expression("x if weights.input_projection is None else linear(x, weights.input_projection.weight)")
        if operation == DELAY:
            return Expression(f"torch.cat(({self._states[operands[0]]}[None], {names[operands[1]]}[:-1]))")
        given = names | self._packs
        read = tuple(self._inlined.get(name) or Expression(given[name]) for name in operands)
        if operation != PRODUCT:
            return write_formula(operation, read, instruction.constants)
        value, matrix = read
        bias = self._biases.get(operands[1])
        if names is self._all:
            return Expression(f"linear({', '.join([value.text, matrix.text, *([bias] if bias else [])])})")
        if bias:
            return Expression(f"torch.addmm({bias}, {value.text}, {matrix.text})")
        return Expression(f"{value.within(ATOM)} @ {matrix.text}", SUM + 1)

    def _weights(self, instruction: Instruction, pad: str, *, transposed: bool) -> list[str]:
        """Returns the lines that lay out the weights of an instruction; those of a step's product lie transposed."""
        if instruction.operation not in (PRODUCT, PEEPHOLE):
            return []
        pack = instruction.operands[1]
        members = [_member(name) for name in self._program.members[pack]]
        if instruction.operation == PEEPHOLE:
            return [f"{pad}{self._packs[pack]} = {members[0]}.weight"]
        opening = "_transposed(" if transposed else "_matrices("
        lines = bracketed(f"{pad}{self._packs[pack]} = ", opening, members, ")")
        if pack in self._biases:
            lines += bracketed(f"{pad}{self._biases[pack]} = ", "_biases(", members, ")")
        return lines


def _member(name: str) -> str:
    dotted = attribute(name)
    return f"weights{dotted}" if dotted else f'getattr(weights, "{name}")'
