"""Cells unrolled over sequences, for tests that compare engines: `from shared_unrolling import draw_case`.

Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units. A *case* is `x` `[T, B, I]`, the states
`[B, H]` and the parameters by name, all of which require gradients.
"""

import gc
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import torch
from shared_cells import random_structure
from shared_full_cells import full_structure
from torch import Tensor

from archsearch.compiler.engines import Unroll
from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.lower import lower
from archsearch.compiler.native.build import cache_folder
from archsearch.compiler.native.compiled import check_native
from archsearch.compiler.native.engine import NativeEngine
from archsearch.errors import EngineError
from archsearch.graph.catalog import load_cell, zoo_names
from archsearch.graph.structure import Node, Structure

Weights = dict[str, Tensor]
Case = tuple[Tensor, tuple[Tensor, ...], Weights]

MAX_ERROR = 1e-10  # in float64, of the largest number of a tensor
# Below it a float64 tensor is taken for 0: what cancels exactly in one order of summation leaves rounding in another.
SMALLEST_SCALE = 1e-3
LARGEST = 1e12
# How much further than the interpreter the native engine may be from the truth in float32.
MAX_ERROR_RATIO = 3.0
NUM_DRAWS = 4  # of inputs and weights, in float32
FLOAT32_FLOOR = 4 * torch.finfo(torch.float32).eps

# [T, B, I, H]; full and partial vectors of 4, 8 and 16 numbers, more rows and fewer than one kernel takes
SIZES = (
    (5, 3, 4, 7),
    (1, 1, 1, 1),
    (4, 1, 7, 7),
    (3, 64, 5, 1),
    (2, 3, 1, 33),
    (4, 3, 33, 33),
    (1, 64, 7, 7),
    (6, 1, 33, 7),
    (3, 20, 16, 16),
    (9, 64, 3, 5),
    (7, 2, 1, 1),
    (2, 17, 40, 33),
)

_TANH = {"wx": Node("linear", ("x",)), "wh": Node("linear", ("h",), 0.9, False), "s": Node("add", ("wx", "wh"))}
_TANH["t"] = Node("tanh", ("s",))

AWKWARD_CELLS = {
    "h' is the old c, c reads h": Structure(("h", "c"), _TANH, {"h": "c", "c": "t"}),
    "h' is the old c, h unread": Structure(("h", "c"), {"t": Node("tanh", ("c",))}, {"h": "c", "c": "t"}),
    "c' is x and unread": Structure(("h", "c"), _TANH, {"h": "t", "c": "x"}),
    "c' is x": Structure(("h", "c"), {"p": Node("mul", ("c", "h"))}, {"h": "p", "c": "x"}),
    "h' from the x before": Structure(("h", "c"), {"p": Node("mul", ("c", "x"))}, {"h": "p", "c": "x"}),
    "c' is c": Structure(("h", "c"), _TANH, {"h": "t", "c": "c"}),
    "c' is the old h": Structure(("h", "c"), _TANH, {"h": "t", "c": "h"}),
    "exchanged, a node unused": Structure(("h", "c"), {"t": Node("tanh", ("x",))}, {"h": "c", "c": "h"}),
    "a line of delays": Structure(("h", "c", "d"), {"t": Node("tanh", ("x",))}, {"h": "c", "c": "d", "d": "t"}),
    "no recurrence": Structure(("h",), {"t": Node("tanh", ("x",))}, {"h": "t"}),
    "h' is x": Structure(("h",), {}, {"h": "x"}),
    "x unread, a value used twice": Structure(("h",), {"q": Node("mul", ("h", "h"))}, {"h": "q"}),
    "an epilogue reads a delayed and a gathered state": Structure(
        ("c", "h", "d"),
        {
            "w": Node("linear", ("c",)),
            "cn": Node("tanh", ("w",)),
            "v": Node("linear", ("cn",)),
            "o": Node("mul", ("v", "d")),
            "u": Node("linear", ("x",)),
            "dn": Node("add", ("u", "c")),
        },
        {"c": "cn", "h": "o", "d": "dn"},
    ),
}


@cache
def why_not_native() -> str | None:
    """Returns why native code cannot be built on this machine, or None where it can."""
    try:
        check_native()
    except EngineError as error:
        return str(error)
    return None


def draw_parameters(structure: Structure, input_size: int, hidden_size: int, generator: torch.Generator) -> Weights:
    """Draws float64 weights, the input projection among them where a layer would have one."""
    parameters = {}
    program = lower(structure)
    for spec in program.parameters:
        width = input_size if spec.width == "I" else hidden_size
        shape = (hidden_size,) if spec.is_vector else (hidden_size, width)
        parameters[f"{spec.name}.weight"] = torch.randn(shape, generator=generator, dtype=torch.float64) / width**0.5
        if spec.bias:
            parameters[f"{spec.name}.bias"] = torch.randn(hidden_size, generator=generator, dtype=torch.float64)
    if program.needs_input_projection and input_size != hidden_size:
        projection = torch.randn(hidden_size, input_size, generator=generator, dtype=torch.float64)
        parameters["input_projection.weight"] = projection
    return {name: tensor.requires_grad_() for name, tensor in parameters.items()}


def draw_case(
    structure: Structure, num_steps: int, batch_size: int, input_size: int, hidden_size: int, seed: int = 1
) -> Case:
    """Draws a float64 case from normal distributions, the same each time."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_steps, batch_size, input_size)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    states = tuple(
        torch.randn(1, batch_size, hidden_size, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in structure.states
    )
    return x, states, draw_parameters(structure, input_size, hidden_size, generator)


def draw_tame_case(structure: Structure, sizes: tuple[int, int, int, int], seed: int = 1) -> tuple[Case, list[Tensor]]:
    """Draws a float64 case that float32 can hold too: cells that square and square again would soon overflow.

    Returns:
        The case, halved as often as needed, of fewer steps where that does not help, and the interpreter's values and
        gradients.
    """
    run = Interpreter(lower(structure))
    for num_steps in range(sizes[0], 0, -1):
        x, states, parameters = draw_case(structure, num_steps, *sizes[1:], seed=seed)
        for _ in range(8):
            expected = values_and_gradients(run, x, states, parameters)
            if all(float(tensor.detach().abs().max()) < LARGEST for tensor in expected):
                return (x, states, parameters), expected
            with torch.no_grad():
                for tensor in (x, *states, *parameters.values()):
                    tensor /= 2
    raise ValueError("expected a cell that does not overflow in its first step")


def convert(case: Case, dtype: torch.dtype) -> Case:
    """Returns a copy of a case in another type of number."""
    x, states, parameters = case

    def copy(tensor: Tensor) -> Tensor:
        return tensor.detach().to(dtype, copy=True).requires_grad_()

    return copy(x), tuple(map(copy, states)), {name: copy(tensor) for name, tensor in parameters.items()}


def names_of(case: Case, structure: Structure) -> list[str]:
    """Returns what the tensors of `values_and_gradients` are, for messages."""
    inputs = ["x", *structure.states, *case[2]]
    return ["output", *(f"last {state}" for state in structure.states), *(f"gradient of {name}" for name in inputs)]


def values_and_gradients(
    run: Unroll,
    x: Tensor,
    states: tuple[Tensor, ...],
    parameters: Mapping[str, Tensor],
    of_last: bool = True,
    order: Tensor | None = None,
) -> list[Tensor]:
    """Runs, then derives a loss that weighs every output and, if asked, every last state differently.

    The weights are of the units before they were put in another `order`, if they were.
    """
    output, last = run(x, states, parameters)
    weighed = (output, *last) if of_last else (output,)
    factors = [torch.linspace(0.5, 1.5, value.numel()).view_as(value) for value in weighed]
    if order is not None:
        factors = [factor[..., order] for factor in factors]
    loss = sum((value * factor).sum() for value, factor in zip(weighed, factors, strict=True))
    if not loss.requires_grad:
        return [output, *last]
    inputs = [x, *states, *parameters.values()]
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
    return [output, *last, *gradients]


def random_cell(seed: int) -> Structure:
    """Draws a cell of 2 to 60 nodes and 1 to 5 states, in one of two ways."""
    rng = random.Random(seed)
    draw = full_structure if seed % 2 else random_structure
    return draw(rng, rng.randint(5, 60), rng.randint(1, 5))


def cell_of_all_primitives(seed: int) -> Structure:
    """Draws a random cell and puts a node of another work's cells between some values and their users."""
    structure = random_cell(seed)
    rng = random.Random(seed)
    nodes: dict[str, Node] = {}

    def put_between(operand: str) -> str:
        if rng.random() > 0.3:
            return operand
        name = f"between_{len(nodes)}"
        primitive = rng.choice(("leaky_relu", "affine", "peephole"))
        if primitive == "affine":
            scale, shift = rng.choice(((-1.0, 1.0), (0.5, 0.0), (1.0, -0.25), (-1.5, 0.3)))
            nodes[name] = Node("affine", (operand,), scale=scale, shift=shift)
        else:
            nodes[name] = Node(primitive, (operand,))
        return name

    for name, node in structure.nodes.items():
        nodes[name] = replace(node, operands=tuple(put_between(operand) for operand in node.operands))
    new_states = {state: put_between(value) for state, value in structure.new_states.items()}
    return Structure(structure.states, nodes, new_states)


def zoo_structures() -> dict[str, Structure]:
    """Returns the cells of the zoo by name."""
    return {name: load_cell(name).structure for name in zoo_names()}


def worst_error(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> tuple[float, int]:
    """Returns the largest difference between tensors, in units of each tensor's largest number, and where it is.

    It is infinite where only one of two numbers is finite.
    """
    errors = []
    for one, other in zip(actual, expected, strict=True):
        one, other = one.detach(), other.detach()
        assert one.shape == other.shape
        scale = max(float(other.abs().max()), SMALLEST_SCALE)
        error = float((one - other).abs().max()) / scale
        errors.append(error if error == error else float("inf"))  # NaN is no equality
    return max((error, index) for index, error in enumerate(errors))


def distance(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Returns how far float32 tensors are from the true ones, of all numbers together, in units of these."""
    norm = sum(float(other.detach().square().sum()) for other in expected) ** 0.5
    pairs = zip(actual, expected, strict=True)
    differences = [(one.detach().double() - other.detach()).square().sum() for one, other in pairs]
    return float(sum(differences)) ** 0.5 / max(norm, SMALLEST_SCALE)


class CountedEngine:
    """A native engine that counts the calls of its compiled functions.

    Attributes:
        engine: The engine.
        calls: Names of the functions called so far.
    """

    def __init__(
        self, structure: Structure, dtype: torch.dtype, engine: NativeEngine | None = None, expects_after: bool = True
    ) -> None:
        self.engine = NativeEngine(lower(structure)) if engine is None else engine
        if expects_after:  # otherwise the first gradient of a last state costs one more forward pass
            self.engine.expect_after()
        self.calls: list[str] = []
        for with_after in (False, True):
            code = self.engine.code(dtype, with_after)
            code.forward = self._counted("forward", code.forward)
            code.backward = self._counted("backward", code.backward)

    def __call__(
        self, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Unrolls the cell; see `Unroll`."""
        return self.engine(x, states, parameters)

    def _counted(self, name: str, function: Callable[..., None]) -> Callable[..., None]:
        def count(*arguments: object) -> None:
            self.calls.append(name)
            function(*arguments)

        return count


def compare_in_double(structure: Structure, sizes: tuple[int, int, int, int]) -> tuple[float, str]:
    """Returns the native engine's largest error against the interpreter in float64, and in which tensor it is."""
    case, expected = draw_tame_case(structure, sizes)
    native = CountedEngine(structure, torch.float64, expects_after=False)
    names = names_of(case, structure)
    # the code for outputs alone, the change to the one for last states too, and that one at once
    outputs_alone = values_and_gradients(Interpreter(lower(structure)), *case, of_last=False)
    errors = [worst_error(values_and_gradients(native, *case, of_last=False), outputs_alone)]
    errors += [worst_error(values_and_gradients(native, *case), expected) for _ in range(2)]
    calls = ["forward", "backward"]
    assert native.calls == [*calls, "forward", *calls, *calls]
    error, index = max(errors)
    return error, names[index]


def reorder_units(case: Case, structure: Structure, order: Tensor) -> Case:
    """Returns the same case with the hidden units in another order: the same numbers, but other orders of all sums."""
    x, states, parameters = case
    is_bare = x.shape[-1] == len(order)  # then a feature of x belongs to each unit
    features = order if is_bare else torch.arange(x.shape[-1])
    columns = {spec.name: order if spec.width == "H" else features for spec in lower(structure).parameters}

    def reorder(key: str, tensor: Tensor) -> Tensor:
        rows = tensor.detach()[order]
        return rows if rows.dim() == 1 else rows[:, columns.get(key.rpartition(".")[0], features)]

    weights = {key: reorder(key, tensor).requires_grad_() for key, tensor in parameters.items()}
    new_states = tuple(state.detach()[..., order].requires_grad_() for state in states)
    return x.detach()[..., features].requires_grad_(), new_states, weights


def compare_in_float(
    structure: Structure, sizes: tuple[int, int, int, int], num_draws: int = NUM_DRAWS, num_orders: int = 1
) -> tuple[float, float]:
    """Returns how far the native engine and the interpreter are in float32 from the interpreter in float64.

    Both are root mean squares over draws, and over orders of the units: in a single run, rounding may happen to cancel
    in either engine, or to put a value on the other side of the kink of a `relu`, where its gradient jumps.
    """
    interpreter = Interpreter(lower(structure))
    native = CountedEngine(structure, torch.float32)
    squares = [0.0, 0.0]
    generator = torch.Generator().manual_seed(1)
    orders = [torch.arange(sizes[3]), *(torch.randperm(sizes[3], generator=generator) for _ in range(num_orders - 1))]
    for seed, order in product(range(1, num_draws + 1), orders):
        case = reorder_units(convert(draw_tame_case(structure, sizes, seed)[0], torch.float32), structure, order)
        expected = values_and_gradients(interpreter, *convert(case, torch.float64), order=order)
        for place, run in enumerate((native, interpreter)):
            squares[place] += distance(values_and_gradients(run, *case, order=order), expected) ** 2
    num_runs = num_draws * num_orders
    assert native.calls == ["forward", "backward"] * num_runs
    return (squares[0] / num_runs) ** 0.5, (squares[1] / num_runs) ** 0.5


def resident_bytes() -> int:
    """Returns how much memory this process takes (Linux)."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def mapped_objects() -> int:
    """Returns how many compiled objects this process has loaded (Linux)."""
    gc.collect()
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    return len({line.split()[-1] for line in lines if line.endswith(".so") and str(cache_folder()) in line})


def build_and_drop_cells(indices: Iterable[int], keep: bool = False) -> list[NativeEngine]:
    """Compiles one small cell per number, all different, and runs each; they are given back only if asked for."""
    kept = []
    for index in indices:
        nodes = {"n0": Node("tanh", ("x",))}
        for place, bit in enumerate(f"{index + 1:010b}"):
            nodes[f"n{place + 1}"] = Node("add" if bit == "1" else "sub", (f"n{place}", "h"))
        structure = Structure(("h",), nodes, {"h": f"n{len(nodes) - 1}"})
        run = NativeEngine(lower(structure))
        x = torch.ones(3, 2, 4, requires_grad=True)
        output, _ = run(x, (torch.zeros(1, 2, 4),), {})
        output.sum().backward()
        if keep:
            kept.append(run)
    return kept


def train_steps(name: str, num_steps: int, step: Callable[[], None] | None = None) -> Callable[[], None]:
    """Trains a small layer of a cell of the zoo, H = 8, T = 3, B = 2; returns one more step, to be called again."""
    if step is None:
        torch.manual_seed(0)
        layer = RecurrentLayer(name, 8, 8, engine="native")
        optimizer = torch.optim.SGD(layer.parameters(), 0.01)

        def step() -> None:
            optimizer.zero_grad()
            output, _ = layer(torch.randn(3, 2, 8))
            output.square().mean().backward()
            optimizer.step()

    for _ in range(num_steps):
        step()
    return step
