"""Where the values of a regrouped plan lie, and where their gradients do.

The gradient of a value is a sum. Its parts lie in a place of the value's own, to which the kernels that read the value
contribute, and in one place for each product that multiplies it. What is computed and read by one kernel alone has no
place; the backward pass computes it again.
"""

from collections.abc import Iterable, Sequence

from archsearch.compiler.program import PEEPHOLE, Instruction
from archsearch.compiler.vectorized.stages import FINISH, OUTPUT, Multiplication, Stages
from archsearch.compiler.vectorized.work import Buffer, Place, Rows
from archsearch.graph.structure import INPUT


class Storage:
    """The places of one layer.

    Args:
        stages: The regrouped plan.
        is_projected: Whether `x` is not as wide as the state, so that a matrix stands where it is read bare.
        with_last_states: Whether states that nothing reads are computed.

    Attributes:
        buffers: All of them, in order.
        values: The place of each value that has one.
        gradients: The own place of each value's gradient.
        parts: The places that a value's gradient is the sum of.
        product_parts: Those of them that products write, in the order of the forward pass.
        d_outputs: The gradient that is given.
        last_values: By state that nothing reads: the time value whose last row it is.
        d_last_values: By such a state: where that row's gradient is given.
    """

    def __init__(self, stages: Stages, is_projected: bool, with_last_states: bool) -> None:
        self._stages = stages
        self._plan = stages.plan
        self.buffers: list[Buffer] = []
        self.values: dict[str, Place] = {INPUT: Place(self.add("x", "whole"))}
        self.gradients: dict[str, Place] = {INPUT: Place(self.add("d_x", "whole"))}
        self.parts: dict[str, list[Place]] = {}
        self.product_parts: dict[str, list[Place]] = {}
        self.d_outputs = Place(self.add("d_outputs", "whole"))
        projected = self._plan.projects
        if projected is not None:
            is_new = is_projected
            self.values[projected] = Place(self.add(projected, "whole")) if is_new else self.values[INPUT]
            self.gradients[projected] = Place(self.add(f"d_{projected}", "whole")) if is_new else self.gradients[INPUT]
        self._unread = {name: stages.base(value) for name, value in stages.outputs.items() if name != OUTPUT}
        self._output = stages.base(stages.outputs[OUTPUT])
        self._place_values()
        self.last_values = {state: self.values[new] for state, new in self._unread.items()}
        self.d_last_values: dict[str, Place] = {}
        self._place_product_gradients()
        self._find_parts(with_last_states)

    def add(self, name: str, rows: Rows, columns: int = 1) -> Buffer:
        """Adds a buffer; the name is made an identifier of its own."""
        plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
        buffer = Buffer(f"v{len(self.buffers)}_{plain}", rows, columns)
        self.buffers.append(buffer)
        return buffer

    def value(self, name: str) -> Place:
        """Returns the place of a value that has one."""
        return self.values[self._stages.base(name)]

    def _place_values(self) -> None:
        stages = self._stages
        for state, before in stages.before.items():
            place = Place(self.add(state, "sequence"))
            self.values[before] = place
            self.values[stages.written_by[state]] = place.later()
        for item in stages.items:
            if isinstance(item, Multiplication):
                members = item.products.members
                buffer = self.add(members[0].result, "whole", len(members))
                for column, member in enumerate(members):
                    self.values[member.result] = Place(buffer, column)
        for name in self._crossing():
            if name not in self.values:
                self.values[name] = Place(self.add(name, "whole"))

    def _crossing(self) -> Iterable[str]:
        """Returns, in order, the values that are read elsewhere than in the kernel that computes them."""
        stages = self._stages
        wanted = [self._output, *self._unread.values()]
        for item in stages.items:
            if isinstance(item, Multiplication):
                wanted.append(stages.base(item.products.operand))
                continue
            made = item.made
            wanted += [name for name in map(stages.base, self.read_by(item.instructions)) if name not in made]
        return dict.fromkeys(wanted)

    def read_by(self, instructions: Iterable[Instruction]) -> list[str]:
        """Returns the values that instructions read; of what finishes a product, those it starts from."""
        names: list[str] = []
        for instruction in instructions:
            if instruction.operation == FINISH:
                init = self._stages.members[instruction.results[0]].init
                while init in self._stages.deferred:
                    init = self._stages.members[init].init
                names += [] if init is None else [init]
            else:
                names += instruction.operands[:1] if instruction.operation == PEEPHOLE else instruction.operands
        return names

    def _place_product_gradients(self) -> None:
        """Lets the gradients of one product's results lie side by side, in the columns of what they start from if so.

        Then the products of `x` with all its matrices have theirs side by side too, without a copy.
        """
        stages = self._stages
        multiplications = [item for item in stages.items if isinstance(item, Multiplication)]
        for item in sorted(multiplications, key=lambda item: any(member.init for member in item.products.members)):
            members = item.products.members
            inits = [member.init for member in members]
            first = self.gradients.get(inits[0] or "") if inits[0] in stages.deferred else None
            if first is None or not self._lie_side_by_side(inits, first):
                first = Place(self.add(f"d_{members[0].result}", "whole", len(members)))
            for number, member in enumerate(members):
                self.gradients[member.result] = Place(first.buffer, first.column + number)
        for result in stages.deferred:
            final = result
            while final in stages.deferred:
                final = stages.deferred[final]
            self.gradients[result] = self.gradients[final]

    def _lie_side_by_side(self, inits: Sequence[str | None], first: Place) -> bool:
        """Says whether the gradients of products' results follow one another, beginning at a place."""
        return all(
            init in self._stages.deferred
            and self.gradients.get(init or "") == Place(first.buffer, first.column + number)
            for number, init in enumerate(inits)
        )

    def _find_parts(self, with_last_states: bool) -> None:
        """Finds out what contributes to each value's gradient, in advance: a step's states are read one step later."""
        stages = self._stages
        parts: dict[str, dict[Place, None]] = {}
        for item in stages.items:
            if isinstance(item, Multiplication):
                operand = stages.base(item.products.operand)
                if operand != INPUT:
                    buffer = self.add(f"d_{operand}_by_product", self._rows_of(operand))
                    parts.setdefault(operand, {})[Place(buffer)] = None
                    self.product_parts.setdefault(operand, []).append(Place(buffer))
                continue
            for instruction in item.instructions:
                for name in map(stages.base, self.read_by([instruction])):
                    if instruction.operation == FINISH and name in stages.made:  # it has no other reader
                        parts.setdefault(name, {})[self.gradients[instruction.results[0]]] = None
                    elif name not in item.made:
                        parts.setdefault(name, {})[self.own_gradient(name)] = None
        parts.setdefault(self._output, {})[self.d_outputs] = None
        for state, new in self._unread.items():
            self.d_last_values[state] = Place(self.add(f"d_last_{state}", "whole"))
            parts.setdefault(new, {})[self.d_last_values[state]] = None
        if with_last_states:
            for state, before in stages.before.items():
                if not parts.get(before):  # where the gradient after the last step is given
                    parts[before] = {Place(self.add(f"d_last_{state}", "sequence")): None}
        self.parts = {name: list(places) for name, places in parts.items()}
        for state, written in stages.written_by.items():
            after = [place.later() for place in self.parts.get(stages.before[state], [])]
            self.parts.setdefault(written, []).extend(after)

    def own_gradient(self, name: str) -> Place:
        """Returns the place to which kernels contribute."""
        base = self._stages.base(name)
        if base not in self.gradients:
            self.gradients[base] = Place(self.add(f"d_{base}", self._rows_of(base)))
        return self.gradients[base]

    def _rows_of(self, name: str) -> Rows:
        return "sequence" if name in self._stages.before.values() else "whole"
