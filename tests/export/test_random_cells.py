"""Cells of a search's mutations taken away and brought back: equations, JSON, Python and ONNX all equal the layer.

ARCHSEARCH_RANDOM_CELLS sets how many mutants of the zoo; a fifth as many cells of all primitives come besides.
"""

import os
import random
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from shared_exports import (
    assert_equal_gradients,
    build_module,
    draw_cell_of_all_primitives,
    draw_mutant,
    rounding_of,
)

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.agreement import Tensors, largest_difference, largest_step_difference
from archsearch.export.cell_files import difference_of
from archsearch.export.copies import in_double
from archsearch.export.onnx_model import export_onnx_step, verify_onnx_step
from archsearch.export.python_file import run
from archsearch.export.self_test import TOLERANCE
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.names import paired_values

COUNT = int(os.environ.get("ARCHSEARCH_RANDOM_CELLS", "300"))
CHUNK = 10
OTHERS = CHUNK // 5


@pytest.mark.parametrize("chunk", range((COUNT + CHUNK - 1) // CHUNK))
def test_random_cells_come_back_equal(chunk, tmp_path):
    """In one layer or two, in one direction or both, which one time step of ONNX cannot have.

    Deep cells amplify rounding, so all is compared in float64, but for ONNX: its files are float32, and onnxruntime is
    compared with the layer in float32. Where the layer itself strays from its float64 by a fifth of 1e-5 or more, the
    same file is computed in float64, by onnx's own reference. Such cells must be few.
    """
    rng = random.Random(chunk)
    cells = [draw_mutant(rng) for _ in range(min(CHUNK, COUNT - chunk * CHUNK))]
    cells += [draw_cell_of_all_primitives(rng, 1 + (chunk + index) % 4) for index in range(OTHERS)]
    num_amplifying = 0
    for index, cell in enumerate(cells):
        assert_texts_give_the_cell(cell)
        num_layers = 1 + index % 2
        one_way = layer_of(cell, num_layers, seed=index)
        export_onnx_step(one_way, tmp_path / "step.onnx")
        if 5 * rounding_of(one_way) <= TOLERANCE:
            assert verify_onnx_step(one_way, tmp_path / "step.onnx") <= TOLERANCE, cell.equations()
        else:
            num_amplifying += 1
            assert difference_in_double(one_way, tmp_path / "step.onnx") <= TOLERANCE, cell.equations()
        layer = (layer_of(cell, num_layers, seed=index, bidirectional=True) if index % 3 == 0 else one_way).double()
        for copy in (CellGraph.from_equations(cell.equations()), CellGraph.from_json(cell.to_json())):
            assert difference_of(layer, copy) <= TOLERANCE, cell.equations()
        assert exported_difference(layer) <= TOLERANCE, cell.equations()
    assert num_amplifying <= len(cells) / 3


def layer_of(cell: CellGraph, num_layers: int, seed: int, **options) -> RecurrentLayer:
    layer = RecurrentLayer(cell, 3, 4, num_layers, engine="interpreter", **options)
    layer.reset_parameters(generator=torch.Generator().manual_seed(seed))
    return layer


def assert_texts_give_the_cell(cell: CellGraph) -> None:
    read = CellGraph.from_equations(cell.equations())
    assert paired_values(cell.structure, read.structure) is not None, cell.equations()
    assert read.digest == cell.digest, cell.equations()
    assert CellGraph.from_equations(read.equations()).structure == read.structure
    assert CellGraph.from_json(cell.to_json()) == cell


def exported_difference(layer: RecurrentLayer) -> float:
    """Returns the largest difference of outputs and states, relative beyond 1; gradients are compared, too."""
    module = build_module(
        layer.cell, layer.input_size, layer.hidden_size, layer.num_layers, bidirectional=layer.bidirectional
    ).double()
    module.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, layer.input_size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert_equal_gradients(layer, layer(x), module, module(x))
    return largest_difference(layer, partial(run, module))


def difference_in_double(layer: RecurrentLayer, path: Path) -> float:
    """Returns the largest difference of a file of one time step, its numbers taken as float64."""
    model = onnx.load(path)
    for initializer in model.graph.initializer:
        array = onnx.numpy_helper.to_array(initializer)
        if array.dtype == np.float32:
            is_constant = initializer.name not in layer.state_dict()  # 0.1 is meant, not the float32 beside it
            exact = np.vectorize(lambda number: float(str(number)))(array) if is_constant else array
            initializer.CopyFrom(onnx.numpy_helper.from_array(exact.astype(np.float64), initializer.name))
    evaluator = ReferenceEvaluator(model)

    def run_step(given: Tensors) -> list[torch.Tensor]:
        arrays = (tensor.double().numpy() for tensor in given)
        with np.errstate(all="ignore"):  # a sigmoid computes both its branches, states overflow
            results = evaluator.run(None, dict(zip(names, arrays, strict=True)))
        return [torch.from_numpy(array) for array in results]

    names = [value.name for value in model.graph.input]
    return largest_step_difference(in_double(layer), run_step)
