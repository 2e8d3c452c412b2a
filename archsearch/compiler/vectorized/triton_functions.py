"""What kernels' formulas call, as Triton functions. Importing this file needs Triton."""

import os

import triton
import triton.language as tl
from triton.language.extra import libdevice

IS_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

if IS_INTERPRETED:  # there the device's library of functions is missing

    @triton.jit
    def tanh_(value):
        power = tl.exp(-2 * tl.abs(value))
        size = (1 - power) / (1 + power)
        return tl.where(value < 0, -size, size)

else:

    @triton.jit
    def tanh_(value):
        return libdevice.tanh(value)


@triton.jit
def sigmoid(value):
    return 1 / (1 + tl.exp(-value))


@triton.jit
def relu(value):
    return tl.where(value <= 0, 0.0, value)


@triton.jit
def leaky_relu(value):
    return tl.where(value > 0, value, value * 0.01)


@triton.jit
def where_positive(result, gradient):
    return tl.where(result <= 0, 0.0, gradient)


@triton.jit
def leaky_where_positive(result, gradient):
    return tl.where(result > 0, gradient, gradient * 0.01)
