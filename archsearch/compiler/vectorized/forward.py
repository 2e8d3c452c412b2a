"""The forward pass: kernels and products, in order."""

from collections.abc import Iterable

from archsearch.compiler.formulas import formula_of
from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.program import PEEPHOLE, Instruction
from archsearch.compiler.vectorized.kernel_writer import KernelWriter
from archsearch.compiler.vectorized.stages import COPY, FINISH, Item, Multiplication, Stage, Stages
from archsearch.compiler.vectorized.storage import Storage
from archsearch.compiler.vectorized.work import Product, Vector, Work
from archsearch.graph.structure import INPUT

CONSTANT = "{}"


class ForwardWriter:
    """Writes the forward pass.

    Args:
        stages: What to compute.
        storage: Where it goes.
        is_projected: Whether `x` is not as wide as the state.
    """

    def __init__(self, stages: Stages, storage: Storage, is_projected: bool) -> None:
        self._stages = stages
        self._storage = storage
        self._is_projected = is_projected

    def prologue(self) -> tuple[Work, ...]:
        """Returns what runs on all time steps before the steps."""
        projected = self._stages.plan.projects
        work: list[Work] = []
        if projected is not None and self._is_projected:
            values = self._storage.values
            work.append(Product("time", values[INPUT], (INPUT_PROJECTION,), values[projected]))
        return (*work, *self._part(self._stages.prologue))

    def step(self) -> tuple[Work, ...]:
        """Returns what runs on one time step."""
        return self._part(self._stages.step)

    def epilogue(self) -> tuple[Work, ...]:
        """Returns what runs on all time steps after the steps."""
        return self._part(self._stages.epilogue)

    def _part(self, items: Iterable[Item]) -> tuple[Work, ...]:
        work = [self._product(item) if isinstance(item, Multiplication) else self._kernel(item) for item in items]
        return tuple(each for each in work if each is not None)

    def _product(self, item: Multiplication) -> Product:
        members = item.products.members
        parameters = tuple(member.parameter for member in members)
        operand = self._storage.value(item.products.operand)
        return Product(item.region, operand, parameters, self._storage.value(members[0].result))

    def _kernel(self, stage: Stage) -> Work | None:
        values = Values(KernelWriter(stage.region), self._stages, self._storage, stage, reads_finished=False)
        for instruction in stage.instructions:
            name = values.of(instruction.results[0])
            place = self._storage.values.get(instruction.results[0])
            if place is not None and not (instruction.operation == FINISH and not name.startswith("n")):
                values.writer.store(place, name)
        return values.writer.finish()


class Values:
    """The values of the forward pass in one kernel: read where they lie, or computed.

    Args:
        writer: Of the kernel.
        stages: The regrouped plan.
        storage: Where values lie.
        stage: Whose kernel it is.
        reads_finished: Whether finished products lie in their places, as in the backward pass.
    """

    def __init__(
        self, writer: KernelWriter, stages: Stages, storage: Storage, stage: Stage, *, reads_finished: bool
    ) -> None:
        self.writer = writer
        self._stages = stages
        self._storage = storage
        self._made = {instruction.results[0]: instruction for instruction in stage.instructions}
        self._reads_finished = reads_finished
        self._names: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Returns the name, within the kernel, of a value."""
        base = self._stages.base(name)
        if base not in self._names:
            self._names[base] = self._find(base)
        return self._names[base]

    def vector_of(self, pack: str) -> str:
        """Returns the name of a peephole's vector."""
        [parameter] = self._stages.plan.program.members[pack]
        return self.writer.load(Vector(f"{parameter}.weight"))

    def _find(self, name: str) -> str:
        instruction = self._made.get(name)
        if instruction is None:
            return self.writer.load(self._storage.value(name))
        if instruction.operation == FINISH:
            if self._reads_finished:
                return self.writer.load(self._storage.value(name))
            return self.writer.define(" + ".join(self._terms(name)))
        if instruction.operation == COPY:
            return self.of(instruction.operands[0])
        return self.writer.define(self._formula(instruction))

    def _formula(self, instruction: Instruction) -> str:
        first, *others = instruction.operands
        find = self.vector_of if instruction.operation == PEEPHOLE else self.of
        operands = (self.of(first), *map(find, others))
        return formula_of(instruction, CONSTANT).value.format(**dict(zip("ab", operands, strict=False)))

    def _terms(self, result: str) -> list[str]:
        """Returns what a product's result is the sum of: what the matrix gave, a bias, and what it starts from."""
        member = self._stages.members[result]
        specs = {spec.name: spec for spec in self._stages.plan.program.parameters}
        terms = [self.writer.load(self._storage.value(result))]
        if specs[member.parameter].bias:
            terms.append(self.writer.load(Vector(f"{member.parameter}.bias")))
        if member.init is not None:
            is_deferred = member.init in self._stages.deferred
            terms += self._terms(member.init) if is_deferred else [self.of(member.init)]
        return terms
