"""Nodes of an ONNX model while it is written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

LAST = -1
BEFORE_FIRST = -np.iinfo(np.int64).max


class Nodes:
    """A growing list of nodes: those of a model, or of the body of one of its scans.

    Attributes:
        list: The nodes so far, operands before users.
        stored: Arrays of the model by name, which bodies see too.
    """

    def __init__(self, stored: dict[str, TensorProto] | None = None) -> None:
        self.list: list[NodeProto] = []
        self.stored: dict[str, TensorProto] = {} if stored is None else stored

    def add(self, operation: str, operands: Iterable[str], *results: str, **attributes: Any) -> str:
        """Adds a node and returns its first result."""
        node = helper.make_node(
            operation, list(operands), list(results), name=f"{results[0]}:{operation}", **attributes
        )
        self.list.append(node)
        return results[0]

    def store(self, name: str, array: NDArray[Any]) -> str:
        """Keeps an array in the model, once, and returns its name."""
        if name not in self.stored:
            self.stored[name] = numpy_helper.from_array(array, name)
        return name

    def whole(self, number: int) -> str:
        """Keeps a whole number as an array `[1]`."""
        return self.store(f"/whole/{number}", np.array([number], np.int64))

    def index(self, number: int) -> str:
        """Keeps a whole number as an array `[]`."""
        return self.store(f"/index/{number}", np.array(number, np.int64))

    def flip(self, sequence: str, result: str) -> str:
        """Adds what turns the order of time steps round."""
        last = self.whole(LAST)
        return self.add("Slice", [sequence, last, self.whole(BEFORE_FIRST), self.whole(0), last], result)

    def scan(
        self,
        carried: Mapping[str, str],
        streams: Mapping[str, str],
        results: Mapping[str, str],
        body: "Nodes",
        widths: Mapping[str, int],
    ) -> None:
        """Adds a loop over time steps.

        Args:
            carried: Inputs of the body and their values before the first step.
            streams: Inputs of the body and the values `[T, B, width]` that they come from; at least one.
            results: The values that the loop gives, those carried first, and the body's for each.
            body: What is done at each step.
            widths: Of the body's inputs and of the results.
        """
        # a body may neither give one of its inputs nor the same value twice
        given = [body.add("Identity", [value], f"{result}/given") for result, value in results.items()]
        inputs = [tensor(name, ["batch", widths[name]]) for name in (*carried, *streams)]
        outputs = [tensor(name, ["batch", widths[result]]) for name, result in zip(given, results, strict=True)]
        graph = helper.make_graph(body.list, "step", inputs, outputs)
        operands = (*carried.values(), *streams.values())
        self.add("Scan", operands, *results, body=graph, num_scan_inputs=len(streams))


def tensor(name: str, shape: Sequence[int | str]) -> ValueInfoProto:
    """Returns what a graph says of one of its inputs or outputs; a text in the shape is a size not known yet."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
