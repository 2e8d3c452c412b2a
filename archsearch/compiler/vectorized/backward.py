"""The backward pass: the stages in reverse, and after them the gradients of the weights."""

from collections import defaultdict
from collections.abc import Iterable

from archsearch.compiler.blocks import Member
from archsearch.compiler.formulas import formula_of
from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.program import PEEPHOLE, Instruction
from archsearch.compiler.vectorized.forward import CONSTANT, Values
from archsearch.compiler.vectorized.kernel_writer import KernelWriter
from archsearch.compiler.vectorized.stages import COPY, FINISH, Item, Multiplication, Stage, Stages
from archsearch.compiler.vectorized.storage import Storage
from archsearch.compiler.vectorized.work import (
    Ending,
    Place,
    Product,
    VectorGradient,
    WeightGradient,
    Work,
)
from archsearch.graph.structure import INPUT


class BackwardWriter:
    """Writes the backward pass; its parts must be asked for in their order, epilogue first.

    Args:
        stages: What to derive.
        storage: Where values and gradients lie.
        is_projected: Whether `x` is not as wide as the state.
    """

    def __init__(self, stages: Stages, storage: Storage, is_projected: bool) -> None:
        self._stages = stages
        self._storage = storage
        self._is_projected = is_projected
        self._written: set[Place] = set()  # to which something was contributed already
        self._product_parts = {name: list(places) for name, places in storage.product_parts.items()}
        self._vectors: list[VectorGradient] = []

    def epilogue(self) -> tuple[Work, ...]:
        """Returns what runs on all time steps before the steps."""
        return self._part(self._stages.epilogue)

    def step(self) -> tuple[Work, ...]:
        """Returns what runs on one time step."""
        return self._part(self._stages.step)

    def prologue(self) -> tuple[Work, ...]:
        """Returns what runs on all time steps after the steps."""
        work = list(self._part(self._stages.prologue))
        projected = self._stages.plan.projects
        if projected is not None:
            work += self._given(projected)
        if projected is not None and self._is_projected:
            gradients = self._storage.gradients
            work.append(
                Product(
                    "time",
                    gradients[projected],
                    (INPUT_PROJECTION,),
                    gradients[INPUT],
                    is_backward=True,
                    accumulates=gradients[INPUT] in self._written,
                )
            )
        return tuple(work)

    def _given(self, name: str) -> list[Work]:
        """Returns what adds up the gradients that are given of a value which no kernel computes."""
        parts = [part for part in self._storage.parts.get(name, ()) if part != self._storage.gradients[name]]
        if not parts:
            return []
        writer = KernelWriter("time")
        self._contribute(writer, name, list(map(writer.load, parts)))
        return [kernel for kernel in (writer.finish(),) if kernel is not None]

    def endings(self) -> tuple[Ending, ...]:
        """Returns the gradients of the weights."""
        specs = {spec.name: spec for spec in self._stages.plan.program.parameters}
        endings: list[Ending] = []
        for item in self._stages.items:
            if not isinstance(item, Multiplication):
                continue
            operand = self._storage.value(item.products.operand)
            for gradient, parameters in self._side_by_side(item.products.members):
                endings.append(WeightGradient(gradient, operand, parameters))
            biased = [member for member in item.products.members if specs[member.parameter].bias]
            for gradient, parameters in self._side_by_side(biased):
                endings.append(VectorGradient(gradient, tuple(f"{name}.bias" for name in parameters)))
        projected = self._stages.plan.projects
        if projected is not None and self._is_projected:
            gradient = self._storage.gradients[projected]
            endings.append(WeightGradient(gradient, self._storage.values[INPUT], (INPUT_PROJECTION,)))
        return (*endings, *self._vectors)

    def _part(self, items: tuple[Item, ...]) -> tuple[Work, ...]:
        work: list[Work] = []
        for item in reversed(items):
            if isinstance(item, Multiplication):
                work += self._products(item)
            else:
                kernel = self._kernel(item)
                work += [] if kernel is None else [kernel]
        return tuple(work)

    def _products(self, item: Multiplication) -> Iterable[Product]:
        operand = self._stages.base(item.products.operand)
        is_input = operand == INPUT
        result = self._storage.gradients[INPUT] if is_input else self._product_parts[operand].pop()
        for gradient, parameters in self._side_by_side(item.products.members):
            is_first = result not in self._written
            self._written.add(result)
            yield Product(item.region, gradient, parameters, result, is_backward=True, accumulates=not is_first)

    def _side_by_side(self, members: Iterable[Member]) -> list[tuple[Place, tuple[str, ...]]]:
        """Returns members of a product in groups whose gradients lie side by side, each with its first one."""
        groups: list[tuple[Place, tuple[str, ...]]] = []
        for member in members:
            place = self._storage.gradients[member.result]
            if groups:
                first, parameters = groups[-1]
                if place == Place(first.buffer, first.column + len(parameters), first.offset):
                    groups[-1] = first, (*parameters, member.parameter)
                    continue
            groups.append((place, (member.parameter,)))
        return groups

    def _kernel(self, stage: Stage) -> Work | None:
        writer = KernelWriter(stage.region)
        values = Values(writer, self._stages, self._storage, stage, reads_finished=True)
        inner: dict[str, list[str]] = defaultdict(list)
        for instruction in reversed(stage.instructions):
            result = instruction.results[0]
            own = self._storage.gradients.get(result) if instruction.operation == FINISH else None
            parts = [
                place
                for place in self._storage.parts.get(result, [])
                if place != own or place in self._written  # of a finished product nothing may be there yet
            ]
            terms = [*map(writer.load, parts), *inner[result]]
            if own is not None:
                gradient = writer.define(" + ".join(terms) or "0")
                writer.store(own, gradient)
                for init in map(self._stages.base, self._storage.read_by([instruction])):
                    if init not in self._stages.made:
                        inner[init].append(gradient)
            elif terms:
                self._derive(instruction, writer.define(" + ".join(terms)), values, inner)
        for name, terms in inner.items():
            if name not in stage.made:
                self._contribute(writer, name, terms)
        return writer.finish()

    def _derive(self, instruction: Instruction, gradient: str, values: Values, inner: dict[str, list[str]]) -> None:
        """Adds what an instruction contributes to the gradients of its operands."""
        operands, base = instruction.operands, self._stages.base
        if instruction.operation == COPY:
            inner[base(operands[0])].append(gradient)
            return
        for position, text in enumerate(formula_of(instruction, CONSTANT).gradients):
            names = {"y": instruction.results[0]} | dict(zip("ab", operands, strict=False))
            read = {
                letter: values.vector_of(name)
                if instruction.operation == PEEPHOLE and letter == "b"
                else values.of(name)
                for letter, name in names.items()
                if f"{{{letter}}}" in text
            }
            part = values.writer.define(text.format(g=gradient, **read))
            if instruction.operation == PEEPHOLE and position == 1:
                self._sum_later(values.writer, operands[1], part)
            else:
                inner[base(operands[position])].append(part)

    def _sum_later(self, writer: KernelWriter, pack: str, part: str) -> None:
        place = Place(self._storage.add(f"d_{pack}", "whole"))
        writer.store(place, part)
        [parameter] = self._stages.plan.program.members[pack]
        self._vectors.append(VectorGradient(place, (f"{parameter}.weight",)))

    def _contribute(self, writer: KernelWriter, name: str, terms: list[str]) -> None:
        """Adds to the gradient of a value that another kernel computes."""
        own = self._storage.own_gradient(name)
        before = [writer.load(own)] if own in self._written else []
        writer.store(own, writer.define(" + ".join(before + terms)))
        self._written.add(own)
