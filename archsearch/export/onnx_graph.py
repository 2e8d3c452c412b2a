"""A layer as an ONNX model, written from its program; nothing is traced.

Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units.
"""

import onnx
from onnx import ModelProto, ValueInfoProto, helper

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.directions import Direction, count_rows, directions_per_layer
from archsearch.export.onnx_layer import DirectionWriter
from archsearch.export.onnx_nodes import Nodes, tensor

# No instruction needs a newer opset, and older runtimes refuse newer ones: tried with onnxruntime 1.15 (2023) to 1.31.
OPSET = 17
FORMAT = 8


def sequence_model(layer: RecurrentLayer) -> ModelProto:
    """Returns a model that runs the layer over sequences; `export_onnx` says how it is called."""
    nodes = Nodes()
    turned = {"perm": [1, 0, 2]}
    x = nodes.add("Transpose", ["input"], "/input", **turned) if layer.batch_first else "input"
    x = _write_layers(layer, nodes, x, is_step=False)
    nodes.add("Transpose" if layer.batch_first else "Identity", [x], "output", **turned if layer.batch_first else {})
    return _model(layer, nodes, ["batch", "length"] if layer.batch_first else ["length", "batch"])


def step_model(layer: RecurrentLayer) -> ModelProto:
    """Returns a model that runs the layer for one time step; `export_onnx_step` says how it is called."""
    nodes = Nodes()
    nodes.add("Identity", [_write_layers(layer, nodes, "input", is_step=True)], "output")
    return _model(layer, nodes, ["batch"])


def _write_layers(layer: RecurrentLayer, nodes: Nodes, x: str, is_step: bool) -> str:
    """Writes layer after layer and the new states; returns the name of the last output."""
    after: dict[str, list[str]] = {state: [] for state in layer.program.states}
    for directions in directions_per_layer(layer):
        outputs = []
        for direction in directions:
            output, news = _write_direction(layer, nodes, direction, x, is_step)
            outputs.append(output)
            for state, new in zip(layer.program.states, news, strict=True):
                row = f"/{direction.stored}/{state}/row"
                after[state].append(nodes.add("Unsqueeze", [new, nodes.whole(0)], row))
        if len(outputs) > 1:
            outputs = [nodes.add("Concat", outputs, f"/{directions[0].stored}.outputs", axis=-1)]
        x = outputs[0]
    for state, rows in after.items():
        nodes.add("Concat", rows, f"{state}_n", axis=0)
    return x


def _write_direction(
    layer: RecurrentLayer, nodes: Nodes, direction: Direction, x: str, is_step: bool
) -> tuple[str, list[str]]:
    """Writes one layer in one direction; returns the names of its output and of the new states `[B, H]`."""
    before = {
        state: nodes.add(
            "Gather", [f"{state}_0", nodes.index(direction.row)], f"/{direction.stored}/{state}/before", axis=0
        )
        for state in layer.program.states
    }
    writer = DirectionWriter(nodes, layer, direction)
    if is_step:
        return writer.write_step(x, before)
    if not direction.is_backward:
        return writer.write_sequence(x, before)
    output, news = writer.write_sequence(nodes.flip(x, f"/{direction.stored}.flipped"), before)
    return nodes.flip(output, f"/{direction.stored}.output"), news


def _model(layer: RecurrentLayer, nodes: Nodes, lead: list[str]) -> ModelProto:
    num_directions = len(directions_per_layer(layer)[-1])
    inputs = [tensor("input", [*lead, layer.input_size]), *_states(layer, "0")]
    outputs = [tensor("output", [*lead, layer.hidden_size * num_directions]), *_states(layer, "n")]
    graph = helper.make_graph(nodes.list, "recurrent_layer", inputs, outputs, list(nodes.stored.values()))
    model = helper.make_model(
        graph, producer_name="archsearch", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=FORMAT
    )
    helper.set_model_props(model, {"digest": layer.cell.digest, "equations": layer.cell.equations()})
    onnx.checker.check_model(model, full_check=True)  # what fails here is a mistake of ours
    return model


def _states(layer: RecurrentLayer, ending: str) -> list[ValueInfoProto]:
    rows = count_rows(layer)
    return [tensor(f"{state}_{ending}", [rows, "batch", layer.hidden_size]) for state in layer.program.states]
