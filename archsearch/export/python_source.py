"""A cell as the source of a torch module that needs nothing of archsearch."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Template

from archsearch.compiler.lower import INPUT_PROJECTION, lower
from archsearch.compiler.program import CellProgram, ParameterSpec
from archsearch.errors import ConfigError
from archsearch.export.layer_function import attribute, write_layer_function
from archsearch.export.line_breaks import MAX_LINE, bracketed
from archsearch.export.module_text import IMPORT_OF_LINEAR, IMPORTS, MODULE
from archsearch.export.names import is_class_name
from archsearch.export.self_test import write_self_test
from archsearch.graph.catalog import load_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.primitives import PRIMITIVES


def export_python(cell: CellGraph | str | Path, class_name: str | None = None) -> str:
    """Returns the source of a module that takes the place of `nn.GRU` or `nn.LSTM`.

    The class has the constructor's keywords, the calling convention, the initial weights and the names of weights of
    `RecurrentLayer`, so that either loads the other's `state_dict`. Run as a program, the file compares itself with
    numbers that the layer gave.

    Args:
        cell: A cell, the name of one in the zoo, or a file of equations or JSON.
        class_name: What the class is called; `Cell` and the digest if None.

    Raises:
        ConfigError: The cell is not known, or the name cannot be that of a class.
    """
    cell = cell if isinstance(cell, CellGraph) else load_cell(cell)
    name = f"Cell{cell.digest.removeprefix('c_')}" if class_name is None else class_name
    if not is_class_name(name):
        raise ConfigError(
            f"export, name=…: expected a name for a class, got {name!r}. Use letters, digits and underscores, no "
            "underscore first, and no name of Python's, of torch or of what the module needs, such as int, math or "
            "Tensor."
        )
    program = lower(cell.structure)
    layer = write_layer_function(program).strip()
    weights = "\n".join(_weights(program))
    source = Template(MODULE).substitute(
        name=name,
        digest=cell.digest,
        # names have letters, digits and underscores: nothing in the equations ends the docstring
        equations="\n".join(f"    {line}".rstrip() for line in _with_names(cell).equations().strip().splitlines()),
        imports=IMPORTS if "linear(" in layer else IMPORTS.replace(IMPORT_OF_LINEAR, ""),
        stands_for="nn.GRU" if len(program.states) == 1 else "nn.LSTM",
        layer=layer,
        weights=weights or "        # the cell has none",
        self_test=write_self_test(cell, name).strip(),
        **_state_texts(program.states),
    )
    return f"# ruff: noqa: {', '.join(_exemptions(name, source, layer, weights))}\n{source}"


def _with_names(cell: CellGraph) -> CellGraph:
    """Returns the cell with every weight named as it is kept, so that its equations say which is which."""
    structure = cell.structure
    nodes = {
        name: replace(node, weights=node.weights or name) if PRIMITIVES[node.primitive].has_weights else node
        for name, node in structure.nodes.items()
    }
    return CellGraph.from_structure(replace(structure, nodes=nodes))


def _exemptions(name: str, source: str, layer: str, weights: str) -> Iterator[str]:
    """Yields the rules of ruff that a module cannot keep, the last one being that these are all needed."""
    yield "A002"  # `input`, as torch calls it
    if ("weights." not in layer and "getattr(weights" not in layer) or " = states\n" not in layer:
        yield "ARG001"
    if "input_size" not in weights or "hidden_size" not in weights:
        yield "ARG002"
    if any(len(line.partition("  # noqa")[0]) > MAX_LINE for line in source.splitlines()):
        yield "E501"
    if not name[0].isupper() or "_" in name:
        yield "N801"
    yield "RUF100"


def _weights(program: CellProgram) -> Iterator[str]:
    """Yields the lines that give a layer its weights, in the order in which `RecurrentLayer` draws them."""
    if program.needs_input_projection:
        yield "        # the cell reads x without a matrix; it must then be as wide as the states"
        yield "        is_wide = input_size == hidden_size"
        yield f"        self.{INPUT_PROJECTION} = None if is_wide else _Weight(hidden_size, input_size)"
    for spec in program.parameters:
        dotted = attribute(spec.name)
        lead = f"        self{dotted} = " if dotted else f'        self.add_module("{spec.name}", '
        yield from bracketed(lead, "_Weight(", list(_arguments(spec)), ")" if dotted else "))")


def _arguments(spec: ParameterSpec) -> Iterator[str]:
    yield "hidden_size"
    if not spec.is_vector:
        yield "input_size" if spec.width == "I" else "hidden_size"
    if spec.diagonal:
        yield f"diagonal={spec.diagonal!r}"
    if spec.bias:
        yield f"bias={spec.bias_init!r}"


def _state_texts(states: tuple[str, ...]) -> dict[str, str]:
    if len(states) == 1:
        return {
            "hx_type": "Tensor",
            "hx_text": "`[L * D, B, H]` (or `[L * D, H]`) states before the first step",
            "times": "",
            "given": "(hx,)",
            "num_states": "1",
            "expected_states": "a tensor",
            "returned": "after[0]",
        }
    return {
        "hx_type": "tuple[Tensor, ...]",
        "hx_text": f"a tuple of the {len(states)} states before the first step, `[L * D, B, H]` or `[L * D, H]` each",
        "times": f" * {len(states)}",
        "given": "hx if isinstance(hx, tuple | list) else (hx,)",
        "num_states": str(len(states)),
        "expected_states": f"{len(states)} states",
        "returned": "after",
    }
