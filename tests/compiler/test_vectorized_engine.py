"""The engine of one member: what modules may do with it, what it refuses, and the products' precision."""

import pickle

import pytest
import torch

from archsearch.compiler.engines import choose_engine, prepare
from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.lower import lower
from archsearch.compiler.vectorized import engine as engine_module
from archsearch.compiler.vectorized.engine import MAX_SHAPES, VectorizedEngine, _Lease
from archsearch.compiler.vectorized.flat_weights import FlatWeights
from archsearch.compiler.vectorized.layer_pass import PopulationPass
from archsearch.compiler.vectorized.planning import parameter_order
from archsearch.compiler.vectorized.precision import products_in
from archsearch.errors import ConfigError, EngineError
from archsearch.graph.catalog import load_cell


def layers():
    torch.manual_seed(0)
    vectorized = RecurrentLayer("lstm_peephole", 3, 5, num_layers=2, engine="vectorized", dtype=torch.float64)
    other = RecurrentLayer("lstm_peephole", 3, 5, num_layers=2, engine="interpreter", dtype=torch.float64)
    other.load_state_dict(vectorized.state_dict())
    return vectorized, other


def test_calls_that_wait_for_their_gradients_keep_their_own_memory():
    vectorized, other = layers()
    pieces = torch.randn(2, 4, 2, 3, dtype=torch.float64)
    results = []
    for layer in (vectorized, other):
        first, states = layer(pieces[0])
        second, _ = layer(pieces[1], states)  # the first call's backward pass is still to come
        results.append(torch.autograd.grad((first * second).sum(), list(layer.parameters())))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_a_retained_graph_gives_its_gradients_twice():
    vectorized, _ = layers()
    output, _ = vectorized(torch.randn(4, 2, 3, dtype=torch.float64))
    loss = output.square().sum()
    first = torch.autograd.grad(loss, list(vectorized.parameters()), retain_graph=True)
    vectorized(torch.randn(4, 2, 3, dtype=torch.float64))  # in the memory that the first backward pass gave back
    second = torch.autograd.grad(loss, list(vectorized.parameters()))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


def test_memory_of_calls_is_used_again():
    vectorized, _ = layers()
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    for _ in range(3):
        vectorized(x)[0].sum().backward()
    free = vectorized.unroll._free
    assert [len(workspaces) for workspaces in free.values()] == [1, 1]  # one per layer: their inputs differ in width
    for length in range(1, MAX_SHAPES + 3):
        vectorized(x.repeat(length, 1, 1))
    assert len(free) == MAX_SHAPES


def test_memory_first_made_in_inference_mode_serves_training_too():
    vectorized, other = layers()
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    with torch.inference_mode():
        vectorized(x.clone())
    vectorized(x)[0].sum().backward()
    other(x)[0].sum().backward()
    for mine, theirs in zip(vectorized.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-10, atol=1e-12)


def test_streams_do_not_share_memory(monkeypatch):
    """The work of one does not wait for what another has begun."""
    layer = RecurrentLayer("gru", 3, 5, engine="vectorized")
    for stream in (0, 7, 0):
        monkeypatch.setattr(engine_module, "_stream_on", lambda _, stream=stream: stream)
        layer(torch.randn(4, 2, 3))
    assert [(shape.stream, len(workspaces)) for shape, workspaces in layer.unroll._free.items()] == [(7, 1), (0, 1)]


def test_a_workspace_that_another_thread_takes_first_is_made_anew():
    class Overtaken(list):
        def __len__(self):
            return 1  # as it was when somebody looked

    assert _Lease(Overtaken(), lambda: "made").workspace == "made"


def test_a_copy_and_a_pickle_run_alike():
    engine = VectorizedEngine(lower(load_cell("gru").structure), "vectorized")
    x, state = torch.randn(3, 2, 4), (torch.randn(1, 2, 4),)
    flat = FlatWeights(engine.program, 4, 4)
    weights = {name: tensor[0] for name, tensor in flat.views(torch.randn(1, flat.length)).items()}
    expected, _ = engine(x, state, weights)
    actual, _ = pickle.loads(pickle.dumps(engine))(x, state, weights)  # noqa: S301 - what was just written
    assert torch.equal(actual, expected)


def test_second_derivatives_are_refused_in_words():
    vectorized, _ = layers()
    output, _ = vectorized(torch.randn(4, 2, 3, dtype=torch.float64))
    with pytest.raises(EngineError, match=r"engine vectorized: it has no derivatives of derivatives"):
        torch.autograd.grad(output.sum(), list(vectorized.parameters()), create_graph=True)


@pytest.mark.parametrize(
    ("name", "dtype", "words"),
    [
        ("vectorized", torch.float16, "expected float32 or float64"),
        ("cuda", torch.float32, "expected tensors on a GPU"),
    ],
)
def test_tensors_that_cannot_be_run(name, dtype, words):
    engine = VectorizedEngine(lower(load_cell("tanh").structure), name)
    with pytest.raises(EngineError, match=words):
        engine(torch.zeros(2, 1, 3, dtype=dtype), (torch.zeros(1, 1, 3, dtype=dtype),), {})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_without_a_gpu_says_what_to_do():
    with pytest.raises(ConfigError, match=r"engine cuda: expected a GPU .* found none .* engine=auto"):
        choose_engine("cuda")


@pytest.mark.parametrize("engine", ["interpreter", "native", "vectorized", "auto"])
def test_tf32_is_of_gpus_only(engine):
    with pytest.raises(ConfigError, match=r"precision=tf32, which only GPUs have"):
        prepare(engine, lower(load_cell("gru").structure), "tf32")


def test_torch_multiplies_as_before_after_a_pass():
    before = torch.get_float32_matmul_precision()
    with products_in("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before


@pytest.fixture
def fp32_precision():
    """What torch's newer way sets, put back afterwards."""
    matmul = torch.backends.cuda.matmul
    if torch.__version__ < "2.9":
        pytest.skip("torch has one way only")
    before = matmul.fp32_precision
    yield matmul
    matmul.fp32_precision = before


@pytest.mark.parametrize("before", ["tf32", "ieee"])
@pytest.mark.parametrize("precision", ["full", "tf32"])
def test_products_where_torch_was_told_in_its_newer_way(fp32_precision, before, precision):
    fp32_precision.fp32_precision = before
    with products_in(precision):
        assert fp32_precision.fp32_precision == ("tf32" if precision == "tf32" else "ieee")
    assert fp32_precision.fp32_precision == before
    RecurrentLayer("gru", 2, 3, engine="vectorized")(torch.randn(2, 1, 2))
    assert fp32_precision.fp32_precision == before


def test_what_multiplies_one_value_lies_side_by_side():
    assert parameter_order(lower(load_cell("gru").structure)) == (
        *("reset_1", "update_1", "new_1"),  # of x
        *("reset_2", "update_2"),  # of h
        "new_2",
    )


def test_weights_that_lie_apart_are_refused():
    program = lower(load_cell("gru").structure)
    names = FlatWeights(program, 4, 4).shapes
    weights = {name: torch.zeros(1, *shape) for name, shape in names.items()}
    with pytest.raises(ValueError, match="follow one another in memory"):
        PopulationPass(program, weights, weights, 2, 1, 4, 4, 1)
