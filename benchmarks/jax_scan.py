"""Measures a cell in JAX: `jax.lax.scan`, compiled. In a process of its own, as JAX brings its own threads.

Reads a request as JSON from standard input, as `engines.py` writes it, and answers with one line of JSON per size:
milliseconds of `layer` and `step`, and the seconds of compiling the step.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp

from archsearch.compiler.lower import lower
from archsearch.compiler.program import DELAY, GATHER, PRODUCT, PROJECT, CellProgram, Instruction
from archsearch.graph.cell_graph import CellGraph

LEARNING_RATE = 1e-6
MIN_ROUNDS = 5

Values = dict[str, Any]

FORMULAS: dict[str, Callable[..., Any]] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "add": jnp.add,
    "sub": jnp.subtract,
    "mul": jnp.multiply,
}


def unroll(program: CellProgram, parameters: Values, x: Any) -> Any:
    """Returns `[T, B, H]` outputs of a program for `[T, B, H]` inputs, states of zeros before the first step."""
    zeros = jnp.zeros_like(x[0])
    everywhere: Values = {"x": x}
    packs = {name: _pack(members, parameters) for name, members in program.members.items()}
    for instruction in program.prologue:
        _compute(instruction, everywhere, packs, zeros)
    new = dict(zip(program.states, program.new_states, strict=True))

    def step(carried: Values, arrival: Values) -> tuple[Values, Values]:
        values = carried | arrival
        for instruction in program.step:
            _compute(instruction, values, packs, zeros)
        return {state: values[new[state]] for state in carried}, {name: values[name] for name in program.gathered}

    before = dict.fromkeys(program.recurrent, zeros)
    _, gathered = jax.lax.scan(step, before, {name: everywhere[name] for name in program.streamed}, length=x.shape[0])
    for instruction in program.epilogue:
        if instruction.operation == GATHER:
            everywhere[instruction.results[0]] = gathered[instruction.operands[0]]
        else:
            _compute(instruction, everywhere, packs, zeros)
    return everywhere[program.output]


def _pack(members: tuple[str, ...], parameters: Values) -> tuple[Any, Any]:
    weight = jnp.concatenate([parameters[f"{name}.weight"] for name in members])
    zero = jnp.zeros(weight.shape[1])
    return weight.T, jnp.concatenate([parameters.get(f"{name}.bias", zero) for name in members])


def _compute(instruction: Instruction, values: Values, packs: Mapping[str, tuple[Any, Any]], zeros: Any) -> None:
    operands, results = instruction.operands, instruction.results
    if instruction.operation == PRODUCT:
        weight, bias = packs[operands[1]]
        parts = jnp.split(values[operands[0]] @ weight + bias, len(results), axis=-1)
        values.update(zip(results, parts, strict=True))
    elif instruction.operation == PROJECT:  # as wide as the state already
        values[results[0]] = values[operands[0]]
    elif instruction.operation == DELAY:
        values[results[0]] = jnp.concatenate([zeros[None], values[operands[1]][:-1]])
    else:
        values[results[0]] = FORMULAS[instruction.operation](*(values[name] for name in operands))


def measure(program: CellProgram, T: int, B: int, H: int, seconds: float, max_rounds: int) -> dict[str, float]:
    """Measures a layer and a step."""
    keys = iter(jax.random.split(jax.random.PRNGKey(0), 2 * len(program.parameters) + 2))
    bound = H**-0.5
    parameters = {
        f"{spec.name}.weight": jax.random.uniform(next(keys), (H, H), minval=-bound, maxval=bound)
        + spec.diagonal * jnp.eye(H)
        for spec in program.parameters
    }
    parameters |= {f"{spec.name}.bias": jnp.zeros(H) for spec in program.parameters if spec.bias}
    x = jax.random.normal(next(keys), (T, B, H))
    gradient = jax.random.normal(next(keys), (T, B, H))

    @jax.jit
    def layer(parameters: Values, x: Any, gradient: Any) -> Any:
        output, pull_back = jax.vjp(lambda parameters, x: unroll(program, parameters, x), parameters, x)
        return output, pull_back(gradient)

    def loss(parameters: Values, x: Any) -> Any:
        return jnp.square(unroll(program, parameters, x)).mean()

    @jax.jit
    def step(parameters: Values, x: Any) -> Any:
        value, (d_parameters, d_x) = jax.value_and_grad(loss, argnums=(0, 1))(parameters, x)
        new = {name: tensor - LEARNING_RATE * d_parameters[name] for name, tensor in parameters.items()}
        return value, new, d_x

    start = time.perf_counter()
    jax.block_until_ready(step(parameters, x))
    compile_seconds = time.perf_counter() - start
    return {
        "layer": _median(lambda: jax.block_until_ready(layer(parameters, x, gradient)), seconds, max_rounds),
        "step": _median(lambda: jax.block_until_ready(step(parameters, x)), seconds, max_rounds),
        "compile_seconds": compile_seconds,
    }


def _median(run: Callable[[], object], seconds: float, max_rounds: int) -> float:
    for _ in range(3):
        run()
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(times) < min(MIN_ROUNDS, max_rounds) or (time.perf_counter() < deadline and len(times) < 8 * max_rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    """Answers the request on standard input."""
    request = json.load(sys.stdin)
    program = lower(CellGraph.from_json(request["cell"]).structure)
    for hidden_size in request["sizes"]:
        times = measure(program, request["T"], request["B"], hidden_size, request["seconds"], request["max_rounds"])
        print(json.dumps({"H": hidden_size, **times}), flush=True)


if __name__ == "__main__":
    main()
