"""C for the backward pass of a layer: the blocks in reverse, and after them the gradients of the weights.

Every value's gradient is a sum of what its readers contribute. A contribution lies in an array of the value's own,
where the first reader stores and later ones add, or somewhere that need not be copied: in the gradient of the states
after a step, in that of a gathered or delayed value, or in another value's array where both gradients are the same.
"""

from collections import defaultdict

from archsearch.compiler.blocks import Block, Delay, Elementwise, Plan, Products
from archsearch.compiler.formulas import formula_of
from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.native.call_table import CallTable
from archsearch.compiler.native.packing import PACKED, Packing, width_of
from archsearch.compiler.native.storage import (
    D_PROJECTED,
    PROJECTED,
    Array,
    Kind,
    Place,
    Storage,
    last_readers,
    operands_of,
    results_of,
)
from archsearch.compiler.native.text import LAST, MULTIPLY, PACK, ROWS, Lines, Loop, Region, address
from archsearch.compiler.program import Instruction
from archsearch.graph.structure import INPUT


class BackwardWriter:
    """Writes the backward pass; it leaves in the arena nothing that a second one could start from.

    Args:
        plan: What is derived.
        storage: Where the forward pass left what it computed.
        packing: Where matrices are packed.
        table: Of entries.
        with_after: Whether the states after the last step have gradients.
    """

    def __init__(self, plan: Plan, storage: Storage, packing: Packing, table: CallTable, with_after: bool) -> None:
        self._plan = plan
        self._program = plan.program
        self._storage = storage
        self._packing = packing
        self._with_after = with_after
        self._table = table
        self._write = Lines()
        self._gradients = Storage("d")  # own arrays of values
        if plan.projects is not None:
            self._gradients.places[plan.projects] = Place(D_PROJECTED)
        self._sources: dict[str, list[Place]] = defaultdict(list)
        self._num_readers = _count_readers(plan)
        self._time_values = {value.name for value in self._program.values if value.axis == "time"}
        self._last_readers = last_readers(plan, storage)
        self._products = plan.products

    @property
    def arrays(self) -> list[Array]:
        """The arrays of gradients, beside those of the forward pass that they take over."""
        return self._gradients.arrays

    def write(self) -> list[str]:
        """Returns the lines of the function's body."""
        plan, write = self._plan, self._write
        self._take_input()
        self._take_gradients()
        self._clear_vectors()
        for block in reversed(plan.epilogue):
            self._block(block, "time")
        for alias, source in plan.gathers.items():
            self._sources[source] += self._sources[alias]
        for block in plan.step:
            if isinstance(block, Products):
                self._pack(block, "step")
        if plan.recurrent:
            with write.block("for (long t = T - 1; t >= 0; t--)"):
                for block in reversed(plan.step):
                    self._block(block, "step")
                for state in plan.recurrent:
                    self._own_total(state, "step")
        for block in reversed(plan.prologue):
            self._block(block, "time")
        self._give_input_gradient()
        self._give_state_gradients()
        self._give_weight_gradients()
        return write.lines

    def _pack(self, block: Products, region: Region) -> None:
        """Packs the matrices of a product above each other."""
        width, place, count = width_of(block), self._packing.place(block), len(block.members)
        for part, member in enumerate(block.members):
            weight = self._table.weight(member.parameter)
            self._write(f"runtime->{PACK[region]}(H, {width}, {weight}, {width}, {place}, {part}, {count});")

    def _take_input(self) -> None:
        """Copies x if the forward pass read it in place and now it lies elsewhere, as hooks of saved tensors may do."""
        projected = self._plan.projects
        if projected is not None and self._storage.places[projected].array == PROJECTED:
            own = f"own_{PROJECTED.name}"
            self._write(f"if (I == H && H == padded && x_ld == padded && {PROJECTED.name} == {own})")
            self._write(f"    runtime->copy(T * B, H, x, x_ld, {own}, padded);")

    def _take_gradients(self) -> None:
        """Finds or makes the gradients that come from outside: of the output and of the states after the last step."""
        program, table, write = self._program, self._table, self._write
        d_out = self._gradients.add("out", "whole")
        given = Place(Array("given", "whole"))
        write(f"REAL *given = {table.entry('d_out')};")
        write("if (!given || d_out_ld != padded || (unsigned long)given % VECTOR_BYTES) {")
        write(f"    runtime->copy(given ? T * B : 0, H, given, d_out_ld, {d_out.name}, padded);")
        write("    if (!given)")
        write(f"        runtime->fill(T * row, 0, {d_out.name});")
        write(f"    given = {d_out.name};")
        write("}")
        self._sources[program.output].append(given)
        delays = {delay.state: delay for delay in self._plan.delays}
        for index, (state, new) in enumerate(zip(program.states, program.new_states, strict=True)):
            after = table.entry(f"d_after.{index}")
            if state in self._plan.recurrent:
                # the prologue, which runs after the steps, wants the gradients of all of them
                own = self._own_place(state, "sequence" if new in self._time_values else "two")
                last = "T" if new in self._time_values else "(T & 1)"
                self._take_state_gradient(after, f"{own.array.name} + {last} * row")
                self._sources[new].append(Place(own.array, 1))
            elif state in delays:
                own = self._own_place(delays[state].result, "sequence")
                self._take_state_gradient(after, f"{own.array.name} + T * row")
            elif self._with_after:
                self._add_to_last_step(after, new)

    def _clear_vectors(self) -> None:
        """Begins the sums over time that are the gradients of peepholes."""
        for pack in self._plan.vectors:
            own = self._own_place(pack, "vector")
            self._sources[pack] = [own]
            self._write(f"runtime->fill(row, 0, {own.at_start()});")

    def _take_state_gradient(self, after: str, target: str) -> None:
        if self._with_after:
            self._write(f"if ({after})")
            self._write(f"    runtime->copy(B, H, {after}, H, {target}, padded);")
            self._write("else")
        self._write(f"    runtime->fill(row, 0, {target});")

    def _add_to_last_step(self, after: str, value: str) -> None:
        """A state that nothing reads: the gradient after the last step belongs to that step's new value."""
        own = self._own_place(value, "whole")
        if own not in self._sources[value]:
            self._write(f"runtime->fill(T * row, 0, {own.array.name});")
            self._sources[value].append(own)
        self._write(f"if ({after})")
        self._write(f"    runtime->add(B, H, {after}, H, {own.array.name} + (T - 1) * row, padded);")

    def _own_place(self, value: str, kind: Kind) -> Place:
        """Returns the place of a value's own gradient array."""
        if value not in self._gradients.places:
            if any(value == delay.result for delay in self._plan.delays):
                kind = "sequence"  # the last row is that of the state after the last step
            self._gradients.places[value] = Place(self._gradients.add(value, kind))
        return self._gradients.places[value]

    def _kind_of(self, value: str) -> Kind:
        """Returns how much of a value's gradient must be at hand: of products, all time steps."""
        if value in self._plan.vectors:
            return "vector"
        if value in self._plan.recurrent:
            return "two"
        is_product = any(value in results_of(block) for block in self._products)
        return "whole" if is_product or value in self._time_values else "once"

    def _block(self, block: Block, region: Region) -> None:
        if isinstance(block, Products):
            self._multiply(block, region)
        elif isinstance(block, Elementwise):
            self._elementwise(block, region)
        else:
            self._delay(block)

    def _delay(self, block: Delay) -> None:
        self._own_total(block.result, "time")
        self._sources[block.sequence].append(Place(self._own_place(block.result, "sequence").array, 1))

    def _own_total(self, value: str, region: Region) -> Place:
        """Sums all contributions to a value in its own array, if they do not lie there alone already."""
        own = self._own_place(value, self._kind_of(value))
        sources = self._sources[value]
        if sources != [own]:
            loop = Loop(self._write, region)
            total = _sum([loop.load(place) for place in sources]) or "(Vector){0}"
            loop.store(own, total)
            loop.finish()
            self._sources[value] = [own]
        return own

    def _total(self, value: str, region: Region) -> Place:
        """Returns where a product's result finds its whole gradient, at all time steps."""
        sources = self._sources[value]
        if len(sources) == 1 and sources[0].array.kind in ("whole", "sequence"):
            return sources[0]
        return self._own_total(value, region)

    def _multiply(self, block: Products, region: Region) -> None:
        gradients = [self._total(member.result, region) for member in block.members]
        for member, gradient in zip(block.members, gradients, strict=True):
            if member.init is not None:
                self._sources[member.init] = [gradient]  # it has no other reader
        if block.operand == INPUT:
            return  # once all is known, in _give_input_gradient
        own = self._own_place(block.operand, self._kind_of(block.operand))
        is_first = own not in self._sources[block.operand]
        target = address(own, region)
        init = "0, 0" if is_first else "c, padded"
        if region == "time":
            self._pack(block, region)
        addresses = ", ".join(address(gradient, region) for gradient in gradients)
        with self._write.block():
            self._write(f"const REAL *const a[] = {{{addresses}}};")
            self._write(f"REAL *const c = {target};")
            operands = f"{len(gradients)}, a, padded, {self._packing.place(block)}, c, padded, {init}"
            self._write(f"runtime->{MULTIPLY[region]}({ROWS[region]}, H, H, {operands}, 0, 1{LAST[region]});")
        if is_first:
            self._sources[block.operand].append(own)

    def _elementwise(self, block: Elementwise, region: Region) -> None:
        loop = Loop(self._write, region)
        made = {instruction.results[0]: instruction for instruction in block.instructions}
        values = _Values(loop, self._storage, made)
        inner: dict[str, list[str]] = defaultdict(list)
        for instruction in reversed(block.instructions):
            result = instruction.results[0]
            total = _sum([loop.load(place) for place in self._sources[result]] + inner[result])
            if total is None:
                continue
            gradient = total if total.isidentifier() else loop.define(total)
            formula = formula_of(instruction)
            for operand, text in zip(instruction.operands, formula.gradients, strict=True):
                wanted = dict(zip("ab", instruction.operands, strict=False)) | {"y": result}
                names = {letter: values.of(name) for letter, name in wanted.items() if f"{{{letter}}}" in text}
                inner[operand].append(gradient if text == "{g}" else loop.define(text.format(g=gradient, **names)))
        self._store_outer(loop, {name: parts for name, parts in inner.items() if name not in made}, block)
        loop.finish()

    def _store_outer(self, loop: Loop, contributions: dict[str, list[str]], block: Elementwise) -> None:
        """Stores what a loop contributes to values of other blocks; equal gradients of sole readers share an array.

        A gradient of all time steps takes the place of a value that is read in this loop for the last time.
        """
        shared: dict[str, Place] = {}
        for value, parts in contributions.items():
            kind = self._kind_of(value)
            is_result = value == self._plan.projects  # what is shared may be wanted after it is added to dx
            can_share = kind == "whole" and self._num_readers[value] == 1 and len(parts) == 1 and not is_result
            if can_share and parts[0] in shared:
                self._sources[value] = [shared[parts[0]]]
                continue
            if kind == "whole" and value not in self._gradients.places:
                self._take_over_array(value, block)
            own = self._own_place(value, kind)
            total = _sum(([loop.load(own)] if own in self._sources[value] else []) + parts)
            assert total is not None  # parts are never empty
            loop.store(own, total if total.isidentifier() else loop.define(total))
            if own not in self._sources[value]:
                self._sources[value].append(own)
            if can_share:
                shared[parts[0]] = own

    def _take_over_array(self, value: str, block: Elementwise) -> None:
        free = next((name for name, last in self._last_readers.items() if last is block or last is None), None)
        if free is not None:
            del self._last_readers[free]
            self._gradients.places[value] = Place(Array(free, "whole"))

    def _give_input_gradient(self) -> None:
        """Writes the gradient of x: from the products that read it, and from where it is read bare."""
        write, projected = self._write, self._plan.projects
        bare = None if projected is None else self._own_total(projected, "time")
        block = next((block for block in self._products if block.operand == INPUT), None)
        with write.block("if (dx)"):
            if bare is not None:
                weight = self._table.weight(INPUT_PROJECTION)
                with write.block("if (I == H)"):
                    write(f"if ({bare.at_start()} != dx)")
                    write(f"    runtime->copy_rows(T * B, H, {bare.at_start()}, padded, dx, x_ld);")
                with write.block("else"):
                    write(f"const REAL *const a = {bare.at_start()};")
                    write(f"runtime->pack_bulk(H, I, {weight}, I, {PACKED}, 0, 1);")
                    operands = f"1, &a, padded, {PACKED}, dx, x_ld"
                    write(f"runtime->multiply_bulk(T * B, I, H, {operands}, 0, 0, 0, 0, work);")
            if block is not None:
                count = len(block.members)
                addresses = ", ".join(self._sources[member.result][0].at_start() for member in block.members)
                init = "0, 0" if bare is None else "dx, x_ld"
                self._pack(block, "time")
                write(f"const REAL *const a[] = {{{addresses}}};")
                operands = f"{count}, a, padded, {self._packing.place(block)}, dx, x_ld"
                write(f"runtime->multiply_bulk(T * B, I, H, {operands}, {init}, 0, 0, work);")
            if block is None and bare is None:
                write("for (long i = 0; i < T * B; i++)")
                write("    runtime->fill(I, 0, dx + i * x_ld);")

    def _give_state_gradients(self) -> None:
        delays = {delay.state: delay for delay in self._plan.delays}
        for index, state in enumerate(self._program.states):
            before = self._table.entry(f"d_before.{index}")
            with self._write.block(f"if ({before})"):
                if state in self._plan.recurrent or state in delays:
                    value = delays[state].result if state in delays else state
                    source = self._gradients.places[value].at_start()
                    self._write(f"runtime->copy(B, H, {source}, padded, {before}, H);")
                else:
                    self._write(f"runtime->fill(B * H, 0, {before});")

    def _give_weight_gradients(self) -> None:
        specs = {spec.name: spec for spec in self._program.parameters}
        live = set()
        for block in self._products:
            is_input = block.operand == INPUT
            width, ld = ("I", "x_ld") if is_input else ("H", "padded")
            operand = "x" if is_input else self._storage.places[block.operand].at_start()
            gradients = [self._sources[member.result][0].at_start() for member in block.members]
            targets = [self._table.weight(member.parameter, "d_weight") for member in block.members]
            self._multiply_over_time(gradients, operand, targets, width, ld)
            for member, gradient in zip(block.members, gradients, strict=True):
                live.add(member.parameter)
                if specs[member.parameter].bias:
                    target = self._table.weight(member.parameter, "d_bias")
                    self._write(f"if ({target})")
                    self._write(f"    runtime->sum_rows(T * B, H, {gradient}, padded, {target});")
        if self._plan.projects is not None:
            target = self._table.weight(INPUT_PROJECTION, "d_weight")
            gradient = self._gradients.places[self._plan.projects].at_start()
            with self._write.block("if (I != H)"):
                self._multiply_over_time([gradient], "x", [target], "I", "x_ld")
        elif self._program.needs_input_projection:
            self._clear(self._table.weight(INPUT_PROJECTION, "d_weight"), "H * I")
        for pack, parameter in self._plan.vectors.items():
            live.add(parameter)
            target = self._table.weight(parameter, "d_weight")
            self._write(f"if ({target})")
            self._write(f"    runtime->sum_rows(B, H, {self._gradients.places[pack].at_start()}, padded, {target});")
        for spec in self._program.parameters:
            if spec.name not in live:
                size = "H" if spec.is_vector else f"H * {spec.width}"
                self._clear(self._table.weight(spec.name, "d_weight"), size)
                self._clear(self._table.weight(spec.name, "d_bias"), "H")

    def _clear(self, target: str, size: str) -> None:
        """Writes the gradient of weights that nothing depends on."""
        self._write(f"if ({target})")
        self._write(f"    runtime->fill({size}, 0, {target});")

    def _multiply_over_time(self, gradients: list[str], operand: str, targets: list[str], width: str, ld: str) -> None:
        with self._write.block():
            self._write(f"const REAL *const a[] = {{{', '.join(gradients)}}};")
            self._write(f"REAL *const c[] = {{{', '.join(targets)}}};")
            self._write(
                f"runtime->multiply_over_time(H, {width}, T * B, {len(gradients)}, a, padded, {operand}, {ld}, "
                f"c, {width}, work);"
            )


class _Values:
    """Values of the forward pass in the backward loop of one block: read where they lie, or computed again."""

    def __init__(self, loop: Loop, storage: Storage, made: dict[str, Instruction]) -> None:
        self._loop = loop
        self._storage = storage
        self._made = made
        self._vectors: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Returns the name of the vector with a value."""
        if name in self._storage.places:
            return self._loop.load(self._storage.places[name])
        if name not in self._vectors:
            instruction = self._made[name]
            operands = dict(zip("ab", map(self.of, instruction.operands), strict=False))
            self._vectors[name] = self._loop.define(formula_of(instruction).value.format(**operands))
        return self._vectors[name]


def _sum(terms: list[str]) -> str | None:
    """Returns C for a sum; None for one of nothing."""
    return " + ".join(terms) or None


def _count_readers(plan: Plan) -> dict[str, int]:
    """Returns for each value how many blocks, states and outputs contribute to its gradient."""
    readers: dict[str, int] = defaultdict(int)
    for block in plan.blocks:
        for name in set(operands_of(block)):
            readers[name] += 1
    for name in (*plan.program.new_states, plan.program.output, *plan.gathers.values()):
        readers[name] += 1
    return readers
