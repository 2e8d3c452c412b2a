"""R22, R28: one step of clipped gradient descent."""

import math

import pytest
import torch
from torch import nn

from archsearch.training.flat_parameters import FlatParameters


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))


def test_weights_stay_what_they_were_and_become_views(model):
    before = [parameter.detach().clone() for parameter in model.parameters()]
    flat = FlatParameters(model)
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    flat.values.zero_()
    assert all((parameter == 0).all() for parameter in model.parameters())


def test_backward_passes_write_into_the_flat_gradients(model):
    flat = FlatParameters(model)
    model(torch.ones(4, 3)).sum().backward()
    gradients = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    assert torch.equal(flat.gradients, gradients)
    assert flat.gradients[-1] == 4


@pytest.mark.parametrize(("max_norm", "scale"), [(5.0, 1.0), (10.0, 1.0), (1.0, 0.2), (2.5, 0.5)])
def test_gradient_is_clipped_to_its_norm(model, max_norm, scale):
    """R22: a gradient of norm 5 keeps its direction and loses what is too much."""
    flat = FlatParameters(model)
    flat.values.zero_()
    flat.gradients[0], flat.gradients[8] = 3.0, 4.0
    assert flat.descend(0.1, max_norm) == 5.0
    expected = torch.zeros(11)
    expected[0], expected[8] = -0.3 * scale, -0.4 * scale
    torch.testing.assert_close(flat.values, expected)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_gradient_that_is_not_finite_changes_nothing(model, bad):
    flat = FlatParameters(model)
    before = flat.values.clone()
    flat.gradients[4] = bad
    assert not math.isfinite(flat.descend(0.1, 1.0))
    assert torch.equal(flat.values, before)
