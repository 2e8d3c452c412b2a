"""The forms in which a cell can be taken away. A new one is a new row here.

Each is written, and then read back and compared with the layer that it was made of.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from archsearch.compiler.layer import RecurrentLayer
from archsearch.drawing.markup import to_dot, to_mermaid
from archsearch.drawing.svg import to_svg
from archsearch.errors import ConfigError
from archsearch.export.agreement import TOLERANCE, allowed_in_float32
from archsearch.export.cell_files import verify_equations, verify_json, write_equations, write_json
from archsearch.export.drawn_files import verify_dot, verify_latex, verify_mermaid, verify_svg, write_drawing
from archsearch.export.latex import to_latex
from archsearch.export.onnx_model import (
    MAX_WEIGHTS,
    check_onnx,
    export_onnx,
    export_onnx_step,
    verify_onnx,
    verify_onnx_step,
)
from archsearch.export.python_file import verify_python, write_python
from archsearch.export.torch_program import check_torch_program, export_torch_program, verify_torch_program
from archsearch.export.weight_files import verify_safetensors, write_safetensors


@dataclass(frozen=True)
class Format:
    """One form of a cell.

    Attributes:
        ending: Of the file's name.
        write: Writes a layer, or its cell, to a file.
        verify: Reads the file back; returns the largest difference from the layer, or says what was checked where
            there are no numbers.
        check: Raises `ConfigError` where it cannot be written.
        is_one_way: Whether it cannot hold a bidirectional layer.
        is_float32: Whether the file calculates in float32; see `allowed_in_float32`.
        max_weights: How many weights a file can hold; None for any number.
    """

    ending: str
    write: Callable[[RecurrentLayer, Path], None]
    verify: Callable[[RecurrentLayer, Path], float | str]
    check: Callable[[], None] | None = None
    is_one_way: bool = False
    is_float32: bool = False
    max_weights: int | None = None

    def allowed(self, layer: RecurrentLayer) -> float:
        """Returns how large a difference from a layer is no mistake."""
        return allowed_in_float32(layer) if self.is_float32 else TOLERANCE


FORMATS = {
    "python": Format(".py", write_python, verify_python),
    "safetensors": Format(".safetensors", write_safetensors, verify_safetensors),
    "onnx": Format(".onnx", export_onnx, verify_onnx, check_onnx, is_float32=True, max_weights=MAX_WEIGHTS),
    "onnx_step": Format(
        "_step.onnx",
        export_onnx_step,
        verify_onnx_step,
        check_onnx,
        is_one_way=True,
        is_float32=True,
        max_weights=MAX_WEIGHTS,
    ),
    "torch_program": Format(".pt2", export_torch_program, verify_torch_program, check_torch_program, is_float32=True),
    "json": Format(".json", write_json, verify_json),
    "equations": Format(".eq", write_equations, verify_equations),
    "latex": Format(".tex", partial(write_drawing, to_latex), verify_latex),
    "svg": Format(".svg", partial(write_drawing, to_svg), verify_svg),
    "dot": Format(".dot", partial(write_drawing, to_dot), verify_dot),
    "mermaid": Format(".mmd", partial(write_drawing, to_mermaid), verify_mermaid),
}


def check_formats(names: Iterable[str], bidirectional: bool) -> None:
    """Checks that formats can be written here.

    Raises:
        ConfigError: A package is missing, torch is too old, or a format cannot hold both directions.
    """
    for name in names:
        kind = FORMATS[name]
        if kind.check is not None:
            kind.check()
        if bidirectional and kind.is_one_way:
            raise ConfigError(
                f"format {name}: expected bidirectional=no; a file of this format runs in one direction. Leave the "
                "format out, or export one direction and run it over the reversed sequences, too."
            )


def check_num_weights(names: Iterable[str], num_weights: int) -> None:
    """Checks that formats can hold a layer.

    Raises:
        ConfigError: One cannot.
    """
    for name in names:
        most = FORMATS[name].max_weights
        if most is not None and num_weights > most:
            raise ConfigError(
                f"format {name}: expected a layer of at most {most:,} weights, what a file of 2 GiB holds, got "
                f"{num_weights:,}. Lower hidden_size, input_size or num_layers, or leave the format out."
            )
