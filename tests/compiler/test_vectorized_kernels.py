"""The kernels for GPUs: what they consist of, and what they compute in Triton's interpreter."""

import gc
import inspect
import linecache
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from shared_corners import CORNERS_AS_GRAPHS
from shared_passes import Population, assert_members_equal
from shared_unrolling import random_cell, zoo_structures

from archsearch.compiler.lower import lower
from archsearch.compiler.vectorized import torch_kernels, triton_kernels
from archsearch.compiler.vectorized.fusion import Fused, fuse
from archsearch.compiler.vectorized.planning import plan_passes
from archsearch.compiler.vectorized.work import Buffer, Kernel, Place, Product

ZOO = zoo_structures()
FLOAT32_ERROR = 2e-5
SOME_CELLS = {
    **{name: ZOO[name] for name in ("gru", "lstm_peephole", "mut2", "scrn")},
    **{name: CORNERS_AS_GRAPHS[name] for name in list(CORNERS_AS_GRAPHS)[::6]},
    **{f"random {seed}": random_cell(seed) for seed in (2, 5)},
}


@pytest.fixture
def interpreted():
    pytest.importorskip("triton")
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("there is a GPU, so that Triton compiles")


def launches(name, num_steps=5):
    passes = plan_passes(lower(ZOO[name]))
    forward = fuse([(work, step) for step in range(num_steps) for work in passes.step])
    backward = fuse([(work, step) for step in reversed(range(num_steps)) for work in passes.back_step])
    return [work for work, _ in forward], [work for work, _ in backward]


@pytest.mark.parametrize(("name", "per_step"), [("gru", 2), ("lstm_torch", 1), ("mut1", 2)])
def test_a_step_takes_one_launch_for_each_product_that_waits_for_another(name, per_step):
    forward, backward = launches(name)
    assert len(forward) == 5 * per_step
    assert all(isinstance(work, Fused) for work in forward)
    kernels = [work for work in backward if not isinstance(work, Product)]
    assert len(kernels) == 5 * per_step
    assert isinstance(backward[-1], Product)  # to the states before the first step, at which nobody looks


def test_the_text_of_a_kernel_names_no_node_and_no_width(monkeypatch):
    texts = []
    write = triton_kernels._text
    monkeypatch.setattr(triton_kernels, "_function", str)
    monkeypatch.setattr(triton_kernels, "compile_together", list)
    monkeypatch.setattr(triton_kernels, "_text", lambda *given: texts.append(write(*given)) or texts[-1])
    Population(ZOO["gru"], kernels="triton")
    found = set(texts)
    texts.clear()
    monkeypatch.setattr(Population, "size", 9)
    Population(ZOO["gru"], kernels="triton")
    assert set(texts) == found
    assert not any(word in text for text in texts for word in ("reset", "update", "linear_", "add_"))


OVERFLOW = pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # sigmoid is 0 then, as it should be


@OVERFLOW
@pytest.mark.parametrize("name", SOME_CELLS)
def test_kernels_in_float64(interpreted, name):
    assert_members_equal(Population(SOME_CELLS[name], kernels="triton"), 1e-9)


@OVERFLOW
@pytest.mark.parametrize("name", SOME_CELLS)
@pytest.mark.parametrize("precision", ["full", "tf32"])
def test_kernels_that_multiply_in_float32(interpreted, name, precision):
    population = Population(SOME_CELLS[name], kernels="triton", dtype=torch.float32, precision=precision)
    assert_members_equal(population, FLOAT32_ERROR)


def test_kernels_that_nobody_uses_any_more_go_with_their_source(interpreted):
    def sources():
        return [name for name in linecache.cache if name.startswith("<archsearch kernel")]

    for functions in (triton_kernels._function, torch_kernels._compile):
        assert functions.cache_info().maxsize is not None
    triton_kernels._function.cache_clear()
    gc.collect()
    before = len(sources())
    text = triton_kernels._text(Kernel("step", (), (), ((Place(Buffer("a", "whole")), "0.0"),)), (), "ieee")
    first = triton_kernels._function(text)
    triton_kernels._function.cache_clear()
    second = triton_kernels._function(text)
    assert len(sources()) == before + 2
    del first
    gc.collect()
    assert len(sources()) == before + 1
    assert inspect.getsource(second.fn).startswith("@triton.jit")
    del second
    triton_kernels._function.cache_clear()
    gc.collect()
    assert len(sources()) == before


class PlayedArray(np.ndarray):
    """Numbers of 32 bits that wrap, as Triton's do."""

    def to(self, dtype):
        return self.astype(dtype)


def test_memory_of_more_numbers_than_32_bits_count():
    """A kernel is played on one tile of a matrix of which nothing is there: where would it read and write?"""
    tile, stride, member, member_stride, num_columns = 100, 2**26, 3, 2**30, 16
    addresses = []

    def touch(address, *_, **__):
        addresses.append(address)
        return address

    played = SimpleNamespace(
        constexpr=None,
        int64=np.int64,
        float32=np.float32,
        program_id=lambda axis: np.full((1, 1), (tile, member)[axis], np.int32).view(PlayedArray),
        arange=lambda first, end: np.arange(first, end, dtype=np.int32).view(PlayedArray),
        cdiv=lambda number, divisor: -(-number // divisor),
        zeros=np.zeros,
        load=touch,
        store=touch,
        dot=lambda *factors, **_: factors[2],
    )
    place = Place(Buffer("a", "whole"))
    kernel = Kernel("time", (place, place), ("b = a0 + a1",), ((place, "b"),))
    namespace = {"triton": SimpleNamespace(jit=lambda function: function), "tl": played}
    exec(triton_kernels._text(kernel, (triton_kernels.Factor((1,), False, True),), "ieee"), namespace)  # noqa: S102
    strides = (np.int32(member_stride), np.int32(stride))
    matrices = (np.int64(0), np.int32(num_columns * num_columns))
    rows = 32
    namespace["kernel"](
        *(np.int64(0), *strides),
        *(np.int64(0), *strides),
        *(np.int64(0), *strides, num_columns, *matrices),
        *(tile * rows + rows, num_columns, rows),
    )
    row = np.arange(rows, dtype=np.int64)[:, None] + tile * rows
    expected = member * member_stride + row * stride
    load, operand, _, store = addresses
    assert np.array_equal(load, expected + np.arange(16))
    assert np.array_equal(operand, expected + np.arange(triton_kernels.TILE_DEPTH))
    assert np.array_equal(store, expected + np.arange(16))


def test_without_triton_torch_computes_the_kernels(monkeypatch):
    monkeypatch.setattr(triton_kernels, "_has_triton", lambda: False)
    assert triton_kernels.fastest_kernels(torch.device("cuda")) == "torch"


def test_processors_have_no_kernels_of_triton(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert triton_kernels.fastest_kernels(torch.device("cpu")) == "torch"
