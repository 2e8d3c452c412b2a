"""Exported sources as modules, and random cells as a search meets them: `from shared_exports import build_module`."""

import random
from functools import cache, partial
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from shared_cells import random_structure

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.agreement import largest_difference
from archsearch.export.copies import in_double
from archsearch.export.python_source import export_python
from archsearch.graph.catalog import load_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.mutation.bounds import Bounds
from archsearch.mutation.mutate import mutate
from archsearch.mutation.transformation import Transformation

_SETTINGS = Path(__file__).parents[1] / "conf"


def run_source(source: str) -> dict[str, object]:
    """Runs an exported source as an import does; returns its names."""
    names: dict[str, object] = {"__name__": "exported"}
    exec(compile(source, "exported.py", "exec"), names)  # noqa: S102
    return names


def build_module(cell, *sizes, **options):
    return run_source(export_python(cell, "Exported"))["Exported"](*sizes, **options)


def as_tuple(states):
    return states if isinstance(states, tuple) else (states,)


def assert_equals_layer(cell, input_size=3, hidden_size=4, num_layers=2, **options):
    """Compares outputs, states and gradients of the exported module and the layer, in float64; returns both."""
    layer = RecurrentLayer(cell, input_size, hidden_size, num_layers, engine="interpreter", **options).double().eval()
    module = build_module(cell, input_size, hidden_size, num_layers, **options).double().eval()
    module.load_state_dict(layer.state_dict())
    rows = num_layers * (2 if layer.bidirectional else 1)
    x = torch.randn(5, 2, input_size, dtype=torch.float64, requires_grad=True)
    states = tuple(torch.randn(rows, 2, hidden_size, dtype=torch.float64) for _ in layer.program.states)
    given = states if len(states) > 1 else states[0]
    arguments = [(x,), (x, given)] + ([] if layer.batch_first else [(x[:1],), (x[:1], given)])
    if layer.batch_first:
        x = x.detach().transpose(0, 1).contiguous().requires_grad_()
        arguments = [(x,), (x, given)]
    for case in arguments:
        expected, actual = layer(*case), module(*case)
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9, equal_nan=True)
        assert_equal_gradients(layer, expected, module, actual)
    return layer, module


def assert_equal_gradients(layer, expected, module, actual):
    gradients = []
    for one, (output, after) in ((layer, expected), (module, actual)):
        one.zero_grad()
        total = output.sum() + sum(state.square().sum() for state in as_tuple(after))
        if total.requires_grad:
            total.backward()
        gradients.append({name: parameter.grad for name, parameter in one.named_parameters()})
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-9, atol=1e-9, equal_nan=True)


def rounding_of(layer):
    """Returns how far a layer in float32 is from itself in float64, on the inputs of a verification."""
    return largest_difference(in_double(layer), partial(run_in_float32, layer))


def run_in_float32(layer, given):
    output, after = layer(given[0], given[1] if len(given) == 2 else given[1:])
    return output, *as_tuple(after)


@cache
def transformations() -> tuple[Transformation, ...]:
    """The transformations that a search draws by default."""
    read = (OmegaConf.load(path) for path in sorted(_SETTINGS.glob("transformation/*.yaml")))
    return tuple(instantiate(configuration) for configuration in read if "_target_" in configuration)


@cache
def bounds() -> Bounds:
    """How large a child a search keeps by default."""
    return Bounds(**OmegaConf.load(_SETTINGS / "search.yaml").bounds)


def draw_mutant(rng: random.Random) -> CellGraph:
    """Draws a cell as a search of the zoo meets it, one to eight generations on; a child out of bounds is redrawn."""
    cell = load_cell(rng.choice(zoo_names()))
    for _ in range(rng.randint(1, 8)):
        child = None
        while child is None or bounds().violation(child.structure):
            child = mutate(cell, transformations(), rng).graph
        cell = child
    return cell


def draw_cell_of_all_primitives(rng: random.Random, num_states: int) -> CellGraph:
    return CellGraph.from_structure(random_structure(rng, rng.randint(3, 30), num_states, all_primitives=True))
