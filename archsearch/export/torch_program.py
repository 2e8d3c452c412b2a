"""A layer as a `torch.export` program, which torch runs without archsearch.

Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units.
"""

import keyword
from functools import partial
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from archsearch.compiler.layer import RecurrentLayer, States
from archsearch.compiler.sequences import EqualSequences
from archsearch.compiler.stack import rows_of, run_stack
from archsearch.errors import ConfigError
from archsearch.export.agreement import Tensors, largest_difference
from archsearch.export.directions import count_rows
from archsearch.export.scanned_program import run_scanned
from archsearch.export.written_bytes import write_bytes


def check_torch_program() -> None:
    """Checks that a program can be written here.

    Raises:
        ConfigError: This torch is too old.
    """
    if not hasattr(torch._higher_order_ops, "scan"):
        raise ConfigError(
            f"export torch: expected a torch that has the operator scan, got {torch.__version__}. Install torch 2.13."
        )


def export_torch_program(layer: RecurrentLayer, path: Path) -> None:
    """Writes a program that runs a layer over sequences of any length, in batches of any size.

    `torch.export.load(path).module()` is called as the layer is, `output, hx = program(input, hx)`, and needs the
    states. The loop over time steps is torch's higher-order operator `scan`. Weights have the layer's names (a
    keyword of Python gets an underscore), type and device; `extra_files` has `digest` and `equations`.

    Args:
        layer: As in evaluation: dropout is left out.
        path: The file; an older one is replaced.

    Raises:
        ConfigError: This torch is too old, or the file cannot be written.
    """
    check_torch_program()
    program = _trace(layer)
    texts = {"digest": layer.cell.digest, "equations": layer.cell.equations()}
    content = BytesIO()  # where a disk is full, torch ends the process that writes straight to the file
    torch.export.save(program, content, extra_files=texts)
    write_bytes("torch", path, content.getvalue())


def verify_torch_program(layer: RecurrentLayer, path: Path) -> float:
    """Runs a file of `export_torch_program` beside the layer, on drawn inputs of several lengths and batches.

    Returns:
        The largest difference of outputs and new states, as `largest_difference` measures it.
    """
    program = torch.export.load(path).module()

    def run(given: Tensors) -> Tensors:
        like = next(layer.parameters(), given[0])
        x, *states = (tensor.to(like) for tensor in given)
        output, after = program(x, states[0] if len(states) == 1 else tuple(states))
        return (output, *(after if isinstance(after, tuple) else (after,)))

    return largest_difference(layer, run, in_float32=True)


class _TracedLayer(nn.Module):
    """A layer in the operations that can be traced; the modules with its weights are its own."""

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_with_safe_names(weights) for weights in layer.layers)
        self.reverse_layers = nn.ModuleList(_with_safe_names(weights) for weights in layer.reverse_layers)
        self._layer = (layer,)  # a tuple hides it from the module's own children

    def forward(self, x: Tensor, hx: States) -> tuple[Tensor, States]:
        [layer] = self._layer
        before = hx if isinstance(hx, tuple) else (hx,)
        if layer.batch_first:
            x = x.transpose(0, 1)
        engine = partial(run_scanned, layer.program)
        stack = layer.stacked_weights()
        rows = rows_of(before, sum(map(len, stack)))
        output, after = run_stack(engine, EqualSequences(), stack, x, rows)
        if layer.batch_first:
            output = output.transpose(0, 1)
        return output, after[0] if len(after) == 1 else after


def _with_safe_names(weights: nn.Module) -> nn.Module:
    """Returns a module of the same children, none named by a keyword, which torch would write into its own source."""
    renamed = nn.Module()
    taken = {name for name, _ in weights.named_children()}
    for name, child in weights.named_children():
        safe = name
        while keyword.iskeyword(name) and safe in taken:
            safe += "_"
        taken.add(safe)
        renamed.add_module(safe, child)
    return renamed


def _trace(layer: RecurrentLayer) -> ExportedProgram:
    like = next(layer.parameters(), torch.zeros(0))
    # torch takes a size of 1 for one that never changes, also that of all time steps but one
    states = tuple(like.new_zeros(count_rows(layer), 3, layer.hidden_size) for _ in layer.program.states)
    x = like.new_zeros(*((3, 5) if layer.batch_first else (5, 3)), layer.input_size)
    dynamic_states = tuple({1: Dim.DYNAMIC} for _ in states)
    with torch.no_grad():
        program = torch.export.export(
            _TracedLayer(layer),
            (x, states if len(states) > 1 else states[0]),
            dynamic_shapes=({0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, dynamic_states if len(states) > 1 else dynamic_states[0]),
            strict=False,
        )
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, GraphModule) else ():
            node.meta.pop("stack_trace", None)  # it names folders of this machine
    # a trained layer's weights are slices of one tensor: torch would write all that is before them, and warn
    for name, weight in program.state_dict.items():
        program.state_dict[name] = nn.Parameter(weight.detach().clone(), weight.requires_grad)
    return program
