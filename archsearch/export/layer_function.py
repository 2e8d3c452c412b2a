"""Writes a program as one readable Python function that runs a layer over a sequence."""

import builtins
import keyword
import re
from collections import Counter
from collections.abc import Sequence

from archsearch.compiler.program import DELAY, GATHER, PRODUCT, PROJECT, CellProgram, Instruction

MAX_LINE = 120
_MAX_INLINED = 40
_FORMULAS = {"tanh": "torch.tanh", "sigmoid": "torch.sigmoid", "relu": "torch.relu"}
_SYMBOLS = {"add": ("+", 1), "sub": ("-", 1), "mul": ("*", 2)}
_ATOM = 3  # binds closer than any symbol
_UNNAMED = re.compile(r"[a-z]+_?\d+")  # as nodes are called that nobody named
_TAKEN = frozenset({"weights", "states", "projection", "torch", "linear", "math", "nn", "Tensor", "_", "_stack"})

HEAD = '''\
def _run_layer(weights: nn.Module, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Runs one layer: `[T, B, I]` inputs and `[B, H]` states to `[T, B, H]` outputs and new states."""
'''


def write_layer_function(program: CellProgram) -> str:
    """Returns the source of `_run_layer(weights, x, states)`, with all that depends on `x` alone before the loop."""
    return HEAD + "\n".join(_Writer(program).lines()) + "\n"


class _Writer:
    """Names values and writes the parts of one program; a short value that nobody named stands where it is read."""

    def __init__(self, program: CellProgram) -> None:
        self._program = program
        self._used_names = set(keyword.kwlist) | set(dir(builtins)) | _TAKEN | {"x"}
        self._states = {state: self._unique(state) for state in program.states}
        self._all, self._now = self._name_values()
        self._lists = {name: self._unique(f"{self._all[name]}_steps") for name in self._all}
        self._packs = {pack.name: self._unique(pack.name.replace(".", "_")) for pack in program.packs}
        self._inlined: dict[str, tuple[str, int]] = {}
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
        news = zip(program.states, program.new_states, strict=True)
        last = [
            self._states[state] if state in program.recurrent else f"{self._all[value]}[-1]" for state, value in news
        ]
        return [*lines, f"    return {self._all[program.output]}, ({', '.join(last)}{',' * (len(last) == 1)})"]

    def _unique(self, name: str) -> str:
        while name in self._used_names:
            name += "_"
        self._used_names.add(name)
        return name

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

    def _unpacked_states(self) -> list[str]:
        program = self._program
        read = {instruction.operands[0] for instruction in program.epilogue if instruction.operation == DELAY}
        read |= set(program.recurrent)
        names = [self._states[state] if state in read else f"_{state}" for state in program.states]
        targets = f"({names[0]},)" if len(names) == 1 else ", ".join(names)
        return [f"    {targets} = states"] if read else []

    def _loop(self) -> list[str]:
        program = self._program
        packs = [instruction.operands[1] for instruction in program.step if instruction.operation == PRODUCT]
        lines = ["    # one time step after the other"]
        for pack in packs:
            lines += self._stacked(pack, "    ")
        gathers = [instruction for instruction in program.epilogue if instruction.operation == GATHER]
        lines += [f"    {self._lists[gather.results[0]]} = []" for gather in gathers]
        streams = [self._all[name] for name in program.streamed]
        targets = [self._now[name] for name in program.streamed]
        if len(streams) > 1:
            lines += _broken("    for ", targets, " in ", "zip", [*streams, "strict=True"], ":")
        else:
            lines.append(f"    for {targets[0]} in {streams[0]}:" if streams else "    for _ in range(len(x)):")
        lines += self._part(program.step, self._now, " " * 8)
        for gather in gathers:
            lines.append(f"        {self._lists[gather.results[0]]}.append({self._now[gather.operands[0]]})")
        news = dict(zip(program.states, program.new_states, strict=True))
        moved = [state for state in program.recurrent if news[state] != state]
        if moved:
            old, new = [self._states[state] for state in moved], [self._now[news[state]] for state in moved]
            lines.append(f"        {', '.join(old)} = {', '.join(new)}")
        return lines

    def _part(self, part: Sequence[Instruction], names: dict[str, str], pad: str) -> list[str]:
        lines: list[str] = []
        here = {name for instruction in part for name in instruction.operands if instruction.operation != DELAY}
        for instruction in part:
            if instruction.operation == PRODUCT and names is self._all:
                lines += self._stacked(instruction.operands[1], pad)
            if instruction.operation == PROJECT:
                lines.append(f'{pad}projection = getattr(weights, "input_projection", None)')
            text, binding = self._expression(instruction, names)
            result = instruction.results[0]
            is_passing = self._reads[result] == 1 and result in here and _UNNAMED.fullmatch(result) is not None
            if len(instruction.results) > 1:
                targets = [names[name] for name in instruction.results]
                lines += _broken(pad, targets, " = ", f"{text}.chunk", [str(len(targets)), "-1"], "")
            elif is_passing and len(text) <= _MAX_INLINED:
                self._inlined[result] = (text, binding)
            else:
                lines.append(f"{pad}{names[result]} = {text}")
        return lines

    def _expression(self, instruction: Instruction, names: dict[str, str]) -> tuple[str, int]:
        operation, operands = instruction.operation, instruction.operands
        if operation == PROJECT:
            return "x if projection is None else linear(x, projection.weight)", 0
        if operation == DELAY:
            return f"torch.cat(({self._states[operands[0]]}[None], {names[operands[1]]}[:-1]))", _ATOM
        first = self._inlined.get(operands[0], (names.get(operands[0], ""), _ATOM))
        if operation == PRODUCT:
            return f"linear({first[0]}, *{self._packs[operands[1]]})", _ATOM
        if operation in _FORMULAS:
            return f"{_FORMULAS[operation]}({first[0]})", _ATOM
        symbol, binding = _SYMBOLS[operation]
        second = self._inlined.get(operands[1], (names.get(operands[1], ""), _ATOM))
        left = f"({first[0]})" if first[1] < binding else first[0]
        right = f"({second[0]})" if second[1] <= binding else second[0]
        return f"{left} {symbol} {right}", binding

    def _stacked(self, pack: str, pad: str) -> list[str]:
        members = [_attribute(member) for member in self._program.members[pack]]
        return _broken(pad, [self._packs[pack]], " = ", "_stack", members, "")


def _attribute(member: str) -> str:
    return f'getattr(weights, "{member}")' if keyword.iskeyword(member) else f"weights.{member}"


def _broken(
    lead: str, targets: Sequence[str], link: str, function: str, arguments: Sequence[str], tail: str
) -> list[str]:
    """Returns `lead targets link function(arguments) tail` on one line, or on one line each where it is too long."""
    pad = " " * (len(lead) - len(lead.lstrip()))
    left = lead + ", ".join(targets)
    right = f"{function}({', '.join(arguments)}){tail}"
    if len(left) > MAX_LINE - 40:
        left = "\n".join([f"{lead}(", *(f"{pad}    {target}," for target in targets), f"{pad})"])
    if len(left.splitlines()[-1] + link + right) > MAX_LINE:
        right = "\n".join([f"{function}(", *(f"{pad}    {argument}," for argument in arguments), f"{pad}){tail}"])
    return (left + link + right).splitlines()
