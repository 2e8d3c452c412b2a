"""Nothing leaks: libraries are closed, work memory is used again. The long version: `benchmarks/engines_agree.py`."""

import sys

import pytest
import torch
from shared_unrolling import build_and_drop_cells, mapped_objects, resident_bytes, train_steps, why_not_native

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MAX_GROWTH = 8 * 2**20


@pytest.fixture(autouse=True)
def _native():
    if why_not_native() is not None:
        pytest.skip(why_not_native())


def test_cells_built_and_dropped():
    build_and_drop_cells(range(10))
    before, mapped = resident_bytes(), mapped_objects()
    build_and_drop_cells(range(10, 40))
    assert resident_bytes() - before < MAX_GROWTH
    assert mapped_objects() <= mapped


def test_a_cell_in_use_stays_open():
    kept = build_and_drop_cells(range(2), keep=True)
    mapped = mapped_objects()
    assert mapped >= 2
    for run in kept:
        output, _ = run(torch.ones(3, 2, 4), (torch.zeros(1, 2, 4),), {})
        assert output.isfinite().all()
    del kept, run
    assert mapped_objects() <= mapped - 2


def test_training_steps():
    step = train_steps("lstm", 200)
    before = resident_bytes()
    train_steps("lstm", 1000, step)
    assert resident_bytes() - before < MAX_GROWTH / 4
