"""The training step without autograd against the one with it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from archsearch.compiler.engines import choose_engine
from archsearch.errors import EngineError, ShapeError
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.flat_parameters import FlatParameters
from archsearch.training.gradient_step import AutogradStep
from archsearch.training.minibatch import Minibatch
from archsearch.training.model import SequenceModel
from archsearch.training.native_step import NativeStep, can_step_natively
from archsearch.training.trainer import Trainer
from archsearch.trials.interface import Interface
from archsearch.trials.setting import Setting
from archsearch.trials.task import Batch
from archsearch.trials.trial import Recipe

symbols = Interface.of_symbols

try:
    choose_engine("native")
except EngineError as error:  # the engine's own tests say whether that is right
    pytest.skip(str(error), allow_module_level=True)


def make_steps(
    cell: CellGraph, num_symbols: int, hidden_size: int, num_layers: int = 1
) -> tuple[tuple[AutogradStep, FlatParameters], tuple[NativeStep, FlatParameters]]:
    """Returns both kinds of step, on models with the same weights, one interpreted and one native."""
    pairs = []
    for engine, kind in (("interpreter", AutogradStep), ("native", NativeStep)):
        model = SequenceModel(cell, symbols(num_symbols), hidden_size, num_layers, engine).to(torch.float64)
        model.reset_parameters(1.0, torch.Generator().manual_seed(3))
        assert can_step_natively(model) == (engine == "native")
        parameters = FlatParameters(model)
        pairs.append((kind(model, parameters), parameters))
    return tuple(pairs)


def draw_minibatch(num_symbols: int, num_steps: int = 5, batch_size: int = 3, scored: int | None = None) -> Minibatch:
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randint(num_symbols, (num_steps, batch_size), generator=generator)
    targets = torch.randint(num_symbols, (num_steps * batch_size,), generator=generator)
    if scored is None:
        return Minibatch(inputs, None, targets, True)
    positions = torch.randperm(num_steps * batch_size, generator=generator)[:scored].sort().values
    return Minibatch(inputs, positions, targets[positions], True)


@pytest.mark.parametrize("cell", ["gru", "lstm", "mut1", "tanh"])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("hidden_size", [5, 8, 16])
@pytest.mark.parametrize("scored", [None, 4, 0])
def test_loss_gradients_and_states_equal_autograds(cell, num_layers, hidden_size, scored):
    (slow, expected), (fast, actual) = make_steps(zoo_cell(cell), 7, hidden_size, num_layers)
    states = [None, None]
    for _ in range(3):  # states are carried on
        minibatch = draw_minibatch(7, scored=scored)
        losses = []
        for index, step in enumerate((slow, fast)):
            loss, states[index] = step.differentiate(minibatch, states[index])
            losses.append(loss)
        assert losses[1] == pytest.approx(losses[0], rel=1e-12)
        torch.testing.assert_close(actual.gradients, expected.gradients, rtol=1e-10, atol=1e-12)
        norms = [step.descend(0.3, 0.5) for step in (slow, fast)]
        assert norms[1] == pytest.approx(norms[0], rel=1e-12)
        torch.testing.assert_close(actual.values, expected.values, rtol=1e-10, atol=1e-12)
    named = states[0] if isinstance(states[0], tuple) else (states[0],)
    for number, layers in enumerate(named):
        torch.testing.assert_close(torch.stack([layer[number] for layer in states[1]]), layers, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("num_symbols", [2, 15, 16, 1000])
def test_small_and_large_vocabularies(num_symbols):
    """With more symbols than positions only the rows that were read are updated; the others must stay as they are."""
    (slow, expected), (fast, actual) = make_steps(zoo_cell("gru"), num_symbols, 6)
    for _ in range(3):
        minibatch = draw_minibatch(num_symbols)
        for step in (slow, fast):
            step.differentiate(minibatch, None)
        assert [step.descend(0.1, 0.7) for step in (fast,)] == pytest.approx([slow.descend(0.1, 0.7)], rel=1e-12)
        torch.testing.assert_close(actual.values, expected.values, rtol=1e-10, atol=1e-12)


def test_minibatches_of_other_shapes_follow_each_other():
    (slow, expected), (fast, actual) = make_steps(zoo_cell("gru"), 7, 6, 2)
    for shape in ((5, 3), (2, 3), (5, 1), (1, 1), (5, 3)):
        minibatch = draw_minibatch(7, *shape)
        losses = [step.differentiate(minibatch, None)[0] for step in (slow, fast)]
        assert losses[1] == pytest.approx(losses[0], rel=1e-12)
        for step in (slow, fast):
            step.descend(0.1, 1.0)
        torch.testing.assert_close(actual.values, expected.values, rtol=1e-10, atol=1e-12)


def test_a_cell_without_weights():
    (slow, expected), (fast, actual) = make_steps(CellGraph.from_equations("h' = tanh(x + h)"), 7, 6)
    minibatch = draw_minibatch(7)
    for step in (slow, fast):
        step.differentiate(minibatch, None)
    torch.testing.assert_close(actual.gradients, expected.gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_seen_and_changes_no_weight(bad):
    _, (step, parameters) = make_steps(zoo_cell("gru"), 7, 6)
    parameters.values[7 * 6 + 2] = bad
    before = parameters.values.clone()
    loss, _ = step.differentiate(draw_minibatch(7), None)
    norm = step.descend(0.1, 1.0)
    assert not (loss < float("inf") and norm < float("inf"))
    torch.testing.assert_close(parameters.values, before, rtol=0, atol=0, equal_nan=True)


def test_logits_too_large_for_their_exponentials_give_finite_losses():
    (slow, expected), (fast, actual) = make_steps(zoo_cell("gru"), 7, 6)
    for parameters in (expected, actual):
        parameters.values[-7:] = torch.tensor([5000.0, -5000.0, 0.0, 4999.0, 800.0, 1.0, 2.0])
    losses = [step.differentiate(draw_minibatch(7), None)[0] for step in (slow, fast)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-12)
    torch.testing.assert_close(actual.gradients, expected.gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("field", ["inputs", "targets"])
@pytest.mark.parametrize("symbol", [-1, 7, 10**12])
def test_symbols_beyond_the_vocabulary_are_refused(field, symbol):
    _, (step, _) = make_steps(zoo_cell("gru"), 7, 6)
    minibatch = draw_minibatch(7)
    getattr(minibatch, field).view(-1)[3] = symbol
    with pytest.raises(IndexError, match="expected symbols from 0 to 6"):
        step.differentiate(minibatch, None)


def test_states_of_another_batch_are_refused():
    _, (step, _) = make_steps(zoo_cell("lstm"), 7, 6)
    _, state = step.differentiate(draw_minibatch(7, batch_size=3), None)
    with pytest.raises(ShapeError, match=r"expected states \[4, 6\], got \[3, 6\]"):
        step.differentiate(draw_minibatch(7, batch_size=4), state)


def test_minibatches_are_laid_out_alike_however_the_task_made_them():
    symbols = np.arange(12).reshape(3, 4)
    scored = np.ones((4, 3), dtype=np.bool_)
    batch = Batch(symbols.T, symbols.T[::-1].astype(np.int32), scored, True)
    minibatch = Minibatch.from_batch(batch)
    assert minibatch.inputs.is_contiguous()
    assert minibatch.inputs.tolist() == symbols.T.tolist()
    assert minibatch.targets.tolist() == symbols.T[::-1].ravel().tolist()
    assert minibatch.inputs.dtype == minibatch.targets.dtype == torch.int64


def test_training_with_either_step_learns_the_same(recall_task):
    setting = Setting(1.0, 1.0, 5.0, 1, 1000)
    curves = []
    for engine in ("interpreter", "native"):
        model = SequenceModel(zoo_cell("gru"), symbols(3), 8, 1, engine).to(torch.float64)
        model.reset_parameters(1.0, torch.Generator().manual_seed(0))
        task = replace(recall_task, scored_share=0.5, starts_every=3)
        trainer = Trainer(model, task, setting, Recipe(4, 6, precision="float64"), data_seed=1)
        trainer.run(40)
        curves.append([(point.step, round(point.loss, 6), point.value) for point in trainer.curve])
    assert curves[0] == curves[1]
    assert len(curves[0]) > 3
