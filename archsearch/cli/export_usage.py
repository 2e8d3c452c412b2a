"""What to type after an export."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from archsearch.compiler.layer import RecurrentLayer


def usage(files: Mapping[str, Path], class_name: str, layer: RecurrentLayer, cell: str) -> str:
    """Returns lines of Python for the files that were written.

    Args:
        files: The files by format.
        class_name: Of the class in the Python file.
        layer: What was exported.
        cell: How Python gets at the cell: an expression for the first argument of `RecurrentLayer`.
    """
    parts = []
    if "python" in files or "safetensors" in files:
        parts += _module_lines(files, class_name, layer, cell)
    for name in ("json", "equations"):
        if name in files and not parts:
            parts += _module_lines(files, class_name, layer, repr(str(files[name])))
    if "torch_program" in files:
        parts += _program_lines(files["torch_program"], layer)
    for name in ("onnx", "onnx_step"):
        if name in files:
            parts += _onnx_lines(files[name], layer, is_step=name == "onnx_step")
    return "\n".join(parts)


def _module_lines(files: Mapping[str, Path], class_name: str, layer: RecurrentLayer, cell: str) -> list[str]:
    sizes = f"input_size={layer.input_size}, hidden_size={layer.hidden_size}, num_layers={layer.num_layers}"
    sizes += ", bidirectional=True" if layer.bidirectional else ""
    lines = [f"Use it where {'nn.GRU' if len(layer.cell.states) == 1 else 'nn.LSTM'} stood:"]
    if "python" in files:
        lines[0] = f"{lines[0][:-1]}, next to the file or with PYTHONPATH={shlex.quote(str(files['python'].parent))}:"
        lines += [f"  from {files['python'].stem} import {class_name}", f"  layer = {class_name}({sizes})"]
    else:
        others = [name for name in ("CellGraph", "load_cell", "load_run") if f"{name}(" in cell or f"{name}." in cell]
        names = ", ".join(sorted(["RecurrentLayer", *others]))
        lines += [f"  from archsearch import {names}", f"  layer = RecurrentLayer({cell}, {sizes})"]
    if "safetensors" in files:
        lines += [
            "  from safetensors.torch import load_file",
            f"  layer.load_state_dict(load_file({str(files['safetensors'])!r}))",
        ]
    return lines


def _program_lines(path: Path, layer: RecurrentLayer) -> list[str]:
    before, after = (_grouped([state + suffix for state in layer.cell.states]) for suffix in ("_0", "_n"))
    return [
        "Run the program with torch alone:",
        "  import torch",
        f"  program = torch.export.load({str(path)!r}).module()",
        f"  # x [T, B, {layer.input_size}], states [{_num_rows(layer)}, B, {layer.hidden_size}]",
        f"  output, {after} = program(x, {before})",
    ]


def _grouped(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def _num_rows(layer: RecurrentLayer) -> int:
    return layer.num_layers * (2 if layer.bidirectional else 1)


def _onnx_lines(path: Path, layer: RecurrentLayer, *, is_step: bool) -> list[str]:
    before = ", ".join(f'"{state}_0": {state}_0' for state in layer.cell.states)
    after = ", ".join(f"{state}_n" for state in layer.cell.states)
    layout = f"[B, {layer.input_size}]" if is_step else f"[T, B, {layer.input_size}]"
    return [
        "Run one time step without torch:" if is_step else "Run it over sequences without torch:",
        "  import onnxruntime",
        f"  session = onnxruntime.InferenceSession({str(path)!r})",
        f"  # float32 arrays: x {layout}, states [{_num_rows(layer)}, B, {layer.hidden_size}]",
        f'  output, {after} = session.run(None, {{"input": x, {before}}})',
    ]
