"""C for the forward pass of a layer."""

from archsearch.compiler.blocks import Block, Elementwise, Member, Plan, Products
from archsearch.compiler.formulas import formula_of
from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.native.call_table import CallTable
from archsearch.compiler.native.packing import PACKED, Packing, width_of
from archsearch.compiler.native.storage import Storage
from archsearch.compiler.native.text import LAST, MULTIPLY, PACK, ROWS, Lines, Loop, Region, address
from archsearch.graph.structure import INPUT


class ForwardWriter:
    """Writes the forward pass, from the packing of the weights to the states after the last step."""

    def __init__(self, plan: Plan, storage: Storage, packing: Packing, table: CallTable) -> None:
        self._plan = plan
        self._program = plan.program
        self._storage = storage
        self._table = table
        self._write = Lines()
        self._packing = packing

    def write(self) -> list[str]:
        """Returns the lines of the function's body."""
        plan, write = self._plan, self._write
        self._take_vectors()
        self._take_states()
        if plan.projects is not None:
            self._project(plan.projects)
        for block in plan.prologue:
            self._block(block, "time")
        for block in plan.step:
            if isinstance(block, Products):
                for part, member in enumerate(block.members):
                    self._pack(block, member, "step", self._packing.place(block, part))
        if plan.step or self._program.recurrent:
            with write.block("for (long t = 0; t < T; t++)"):
                for block in plan.step:
                    self._block(block, "step")
                self._carry_copies()
        for block in plan.epilogue:
            self._block(block, "time")
        with write.block():
            write("const long t = T - 1;")
            for block in plan.last:
                self._block(block, "step")
            self._give_last_states()
        self._give_output()
        return write.lines

    def _pack(self, block: Products, member: Member, region: Region, target: str) -> None:
        width, weight = width_of(block), self._table.weight(member.parameter)
        self._write(f"runtime->{PACK[region]}_transposed({width}, H, {weight}, {width}, {target}, 0, 1);")

    def _take_vectors(self) -> None:
        """Writes the vector of each peephole for every sequence, as it is multiplied with values of all of them."""
        for pack, parameter in self._plan.vectors.items():
            place = self._storage.places[pack].at_start()
            self._write(f"runtime->copy(B, H, {self._table.weight(parameter)}, 0, {place}, padded);")

    def _take_states(self) -> None:
        for index, state in enumerate(self._program.states):
            place = self._state_place(state)
            if place is not None:
                before = self._table.entry(f"before.{index}")
                self._write(f"runtime->copy(B, H, {before}, H, {place}, padded);")

    def _state_place(self, state: str) -> str | None:
        """Returns where a state lies before the first step, if anything reads it."""
        delayed = {delay.state: delay.result for delay in self._plan.delays}
        place = self._storage.places.get(delayed.get(state, state))
        return None if place is None else place.at_start()

    def _project(self, name: str) -> None:
        place = self._storage.places[name].at_start()
        weight = self._table.weight(INPUT_PROJECTION)
        with self._write.block("if (I == H)"):
            self._write(f"if ({place} != x)")
            self._write(f"    runtime->copy(T * B, H, x, x_ld, {place}, padded);")
        with self._write.block("else"):
            self._write(f"runtime->pack_bulk_transposed(I, H, {weight}, I, {PACKED}, 0, 1);")
            operands = f"1, &x, x_ld, {PACKED}, {place}, padded"
            self._write(f"runtime->multiply_bulk(T * B, H, I, {operands}, 0, 0, 0, 1, work);")

    def _block(self, block: Block, region: Region) -> None:
        if isinstance(block, Products):
            self._products(block, region)
        elif isinstance(block, Elementwise):
            self._elementwise(block, region)
        elif block.state in self._storage.copied:
            source = self._storage.places[block.sequence].at_start()
            target = self._storage.places[block.result].array.name
            self._write(f"runtime->copy((T - 1) * B, padded, {source}, padded, {target} + row, padded);")

    def _products(self, block: Products, region: Region) -> None:
        operand = self._operand(block, region)
        ld = "x_ld" if block.operand == INPUT else "padded"
        with self._write.block():
            self._write(f"const REAL *const a = {operand};")
            for part, member in enumerate(block.members):
                lasts = self._packing.lasts(block)
                packed = self._packing.place(block, part if lasts else 0)
                if not lasts:
                    self._pack(block, member, region, packed)
                self._product(member, region, f"{ROWS[region]}, H, {width_of(block)}, 1, &a, {ld}, {packed}")

    def _operand(self, block: Products, region: Region) -> str:
        if block.operand != INPUT:
            return address(self._storage.places[block.operand], region)
        return "x" if region == "time" else "x + t * B * x_ld"

    def _product(self, member: Member, region: Region, factors: str) -> None:
        spec = next(spec for spec in self._program.parameters if spec.name == member.parameter)
        result = address(self._storage.places[member.result], region)
        init = "0, 0"
        if member.init is not None:
            init = f"{address(self._storage.places[member.init], region)}, padded"
        bias = self._table.weight(member.parameter, "bias") if spec.bias else "0"
        call = f"{MULTIPLY[region]}({factors}, {result}, padded, {init}, {bias}, 1{LAST[region]})"
        self._write(f"runtime->{call};")

    def _elementwise(self, block: Elementwise, region: Region) -> None:
        loop = Loop(self._write, region)
        vectors: dict[str, str] = {}
        places = self._storage.places
        for instruction in block.instructions:
            operands = [vectors[name] if name in vectors else loop.load(places[name]) for name in instruction.operands]
            result = instruction.results[0]
            formula = formula_of(instruction).value
            vectors[result] = loop.define(formula.format(**dict(zip("ab", operands, strict=False))))
            if result in places:
                loop.store(places[result], vectors[result])
        loop.finish()

    def _carry_copies(self) -> None:
        new_of = dict(zip(self._program.states, self._program.new_states, strict=True))
        for state in self._program.recurrent:
            if state in self._storage.copied:
                source = self._storage.places[new_of[state]].at_step()
                target = self._storage.places[state].array.name
                self._write(f"runtime->copy(B, padded, {source}, padded, {target} + (t + 1) * row, padded);")

    def _give_output(self) -> None:
        output = self._storage.places[self._program.output].at_start()
        self._write(f"{self._table.entry('out_in_arena')} = {output};")
        self._write("if (out)")
        self._write(f"    runtime->copy(T * B, H, {output}, padded, out, H);")

    def _give_last_states(self) -> None:
        program, table, places = self._program, self._table, self._storage.places
        for index, (state, new) in enumerate(zip(program.states, program.new_states, strict=True)):
            after = table.entry(f"after.{index}")
            last = f"{places[state].array.name} + T * row" if state in program.recurrent else places[new].at_step()
            self._write(f"runtime->copy(B, H, {last}, padded, {after}, H);")
