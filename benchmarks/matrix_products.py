"""The floor under a layer's time: its matrix products alone, formed in three ways.

Each matrix takes part in three products: forward, the gradient of what it multiplies, its own gradient. As in a layer,
the matrices of one value are packed, those that wait for a state make one product of `B` rows per time step, the
others one of `T * B` rows. Everything else is prepared beforehand, but for the packing of the native runtime's weights,
which a layer does once per sequence.

Shapes: `T` time steps, `B` sequences, `H` units and input features, `n` matrices of one value.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from timing import Run
from torch import Tensor

from archsearch.compiler.blocks import Products, plan_blocks
from archsearch.compiler.native.build import build
from archsearch.compiler.native.compiled import runtime
from archsearch.compiler.program import CellProgram

_ALIGNMENT = 16  # numbers of the widest vector
_MAX_PANEL = 32  # columns of the widest panel

_SOURCE = """\
#include "vector.h"
#include "runtime.h"

/* `steps` products of `rows` rows; addresses of arrays, which lie one after another for each of the `parts` */
typedef struct {
    long steps, rows, parts;
    REAL *a, *weights, *packed, *results, *d_a, *d_weights;
} Product;

static void forward(const Runtime *runtime, const Product *p, long t, long H, long padded, long total) {
    const REAL *const a = p->a + t * p->rows * padded;
    for (long part = 0; part < p->parts; part++)
        runtime->multiply(p->rows, H, H, 1, &a, padded, p->packed + part * H * padded,
                          p->results + (part * total + t * p->rows) * padded, padded, 0, 0, 0, 1);
}

static void backward(const Runtime *runtime, const Product *p, long t, long H, long padded, long total) {
    const REAL *gradients[p->parts];
    for (long part = 0; part < p->parts; part++)
        gradients[part] = p->results + (part * total + t * p->rows) * padded;
    runtime->multiply(p->rows, H, H, p->parts, gradients, padded, p->packed, p->d_a + t * p->rows * padded, padded, 0,
                      0, 0, 1);
}

void form_products(const Runtime *runtime, long T, long B, long H, long padded, long count, const Product *products,
                   REAL *work) {
    const long total = T * B;
    for (const Product *p = products; p < products + count; p++)
        for (long part = 0; part < p->parts; part++)
            runtime->pack_transposed(H, H, p->weights + part * H * H, H, p->packed + part * H * padded, 0, 1);
    for (const Product *p = products; p < products + count; p++)
        if (p->steps == 1)
            forward(runtime, p, 0, H, padded, total);
    for (long t = 0; t < T; t++)
        for (const Product *p = products; p < products + count; p++)
            if (p->steps == T && T > 1)
                forward(runtime, p, t, H, padded, total);
    for (const Product *p = products; p < products + count; p++)
        for (long part = 0; part < p->parts; part++)
            runtime->pack(H, H, p->weights + part * H * H, H, p->packed, part, p->parts);
    for (long t = T - 1; t >= 0; t--)
        for (const Product *p = products; p < products + count; p++)
            if (p->steps == T && T > 1)
                backward(runtime, p, t, H, padded, total);
    for (const Product *p = products; p < products + count; p++)
        if (p->steps == 1)
            backward(runtime, p, 0, H, padded, total);
    for (const Product *p = products; p < products + count; p++) {
        const REAL *gradients[p->parts];
        REAL *targets[p->parts];
        for (long part = 0; part < p->parts; part++) {
            gradients[part] = p->results + part * total * padded;
            targets[part] = p->d_weights + part * H * H;
        }
        runtime->multiply_over_time(H, H, total, p->parts, gradients, padded, p->a, padded, targets, H, work);
    }
}
"""


@dataclass(frozen=True)
class PackedProduct:
    """Matrices that multiply one value: how many, and whether every time step waits for the one before."""

    num_matrices: int
    is_recurrent: bool


def packed_products(program: CellProgram) -> list[PackedProduct]:
    """Returns the products of a layer whose input is as wide as its state, without matrices that nothing depends on."""
    plan = plan_blocks(program)
    return [
        PackedProduct(len(block.members), block in plan.step) for block in plan.blocks if isinstance(block, Products)
    ]


def count_flops(products: Sequence[PackedProduct], T: int, B: int, H: int) -> int:
    """Returns the additions and multiplications of all products, forward and backward."""
    return sum(product.num_matrices for product in products) * 3 * 2 * T * B * H * H


def ways_to_multiply(products: Sequence[PackedProduct], T: int, B: int, H: int) -> dict[str, Run]:
    """Returns the three ways by name: torch's products of matrices as they lie, of transposed ones, the runtime's."""
    generator = torch.Generator().manual_seed(0)
    shapes = [_Operands(product, T, B, H, generator) for product in products]
    return {
        "untransposed": _torch_way([operands.untransposed() for operands in shapes]),
        "transposed": _torch_way([operands.transposed() for operands in shapes]),
        "packed": RuntimeProducts(products, T, B, H, generator),
    }


Triple = tuple[Tensor, Tensor, Tensor]  # left, right, where the product goes


@dataclass(frozen=True)
class _TorchProducts:
    """The products of one packed matrix, in the order in which a layer forms them."""

    forward: list[Triple]
    backward: list[Triple]
    weight: Triple


class _Operands:
    """Operands and results of one packed matrix: `[T, B, H]` times `[H, n * H]`."""

    def __init__(self, product: PackedProduct, T: int, B: int, H: int, generator: torch.Generator) -> None:
        width = product.num_matrices * H
        steps, rows = (T, B) if product.is_recurrent else (1, T * B)
        self.value = torch.rand(steps, rows, H, generator=generator)
        self.weight = torch.rand(width, H, generator=generator)
        self.gradient = torch.rand(steps, rows, width, generator=generator)
        self.result = torch.empty(steps, rows, width)
        self.d_value = torch.empty(steps, rows, H)
        self.d_weight = torch.empty(width, H)

    def untransposed(self) -> _TorchProducts:
        """Every operand lies in memory as the product reads it."""
        gradient_over_time = self.gradient.flatten(0, 1).t().contiguous()
        return self._products(self.weight.t().contiguous(), self.weight, gradient_over_time)

    def transposed(self) -> _TorchProducts:
        """One operand of every product lies in memory transposed."""
        weight_as_columns = self.weight.t().contiguous()
        return self._products(self.weight.t(), weight_as_columns.t(), self.gradient.flatten(0, 1).t())

    def _products(self, forward: Tensor, backward: Tensor, gradient_over_time: Tensor) -> _TorchProducts:
        return _TorchProducts(
            [(value, forward, out) for value, out in zip(self.value, self.result, strict=True)],
            [(gradient, backward, out) for gradient, out in zip(self.gradient, self.d_value, strict=True)][::-1],
            (gradient_over_time, self.value.flatten(0, 1), self.d_weight),
        )


def _torch_way(all_products: list[_TorchProducts]) -> Run:
    triples = _in_order([products.forward for products in all_products])
    triples += _in_order([products.backward for products in all_products])
    triples += [products.weight for products in all_products]

    def run() -> None:
        for left, right, out in triples:
            torch.mm(left, right, out=out)

    return run


def _in_order(parts: list[list[Triple]]) -> list[Triple]:
    """Returns bulk products first, then those of the time steps, step by step."""
    bulk = [triple for part in parts if len(part) == 1 for triple in part]
    steps = zip(*(part for part in parts if len(part) > 1), strict=True)
    return bulk + [triple for step in steps for triple in step]


class _Product(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_long) for name in ("steps", "rows", "parts")),
        *((name, ctypes.c_void_p) for name in ("a", "weights", "packed", "results", "d_a", "d_weights")),
    )


class RuntimeProducts:
    """The native runtime's products, called from C: from Python each call would cost more than a small product.

    Shapes: `P` is `H` filled up to whole vectors; numbers beyond `H` are 0.

    Attributes:
        values: `[T * B, P]` of each product, what its matrices multiply.
        weights: `[n, H, H]` of each, as a layer keeps them.
        results: `[n, T * B, P]` of each; they are taken for gradients too.
        d_values: `[T * B, P]` of each, the gradient of `values`.
        d_weights: `[n, H, H]` of each.
    """

    def __init__(self, products: Sequence[PackedProduct], T: int, B: int, H: int, generator: torch.Generator) -> None:
        padded = -(-H // _ALIGNMENT) * _ALIGNMENT
        numbers = [product.num_matrices for product in products]
        self.values = [torch.zeros(T * B, padded) for _ in products]
        for value in self.values:
            value[:, :H] = torch.rand(T * B, H, generator=generator)
        self.weights = [torch.rand(n, H, H, generator=generator) for n in numbers]
        self.results = [torch.zeros(n, T * B, padded) for n in numbers]
        self.d_values = [torch.zeros(T * B, padded) for _ in products]
        self.d_weights = [torch.zeros(n, H, H) for n in numbers]
        self._packed = [torch.zeros(n, padded, padded) for n in numbers]
        self._work = torch.zeros(4 * (T * B + 64), max(padded, _MAX_PANEL))  # more than the runtime asks for
        self._table = (_Product * len(products))()
        arrays = (self.values, self.weights, self._packed, self.results, self.d_values, self.d_weights)
        for entry, product, *own in zip(self._table, products, *arrays, strict=True):
            entry.steps, entry.rows = (T, B) if product.is_recurrent else (1, T * B)
            entry.parts = product.num_matrices
            for name, array in zip(("a", "weights", "packed", "results", "d_a", "d_weights"), own, strict=True):
                setattr(entry, name, array.data_ptr())
        self._runtime = runtime("float")
        self._library = build(_SOURCE, "float")
        self._form_products = self._library.functions.form_products
        self._form_products.restype = None
        self._form_products.argtypes = (ctypes.c_void_p, *(ctypes.c_long,) * 5, ctypes.c_void_p, ctypes.c_void_p)
        functions = ctypes.addressof(ctypes.c_char.in_dll(self._runtime.functions, "runtime"))
        self._arguments = (functions, T, B, H, padded, len(products), self._table, self._work.data_ptr())

    def __call__(self) -> None:
        """Forms all products."""
        self._form_products(*self._arguments)
