"""Layers with `engine=native` and `engine=auto`: copies, threads, and what native code refuses."""

import copy
import logging
import pickle
import threading

import pytest
import torch
from shared_unrolling import draw_case, values_and_gradients, why_not_native, zoo_structures

from archsearch.compiler import engines
from archsearch.compiler.engines import ENGINES
from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.lower import lower
from archsearch.compiler.native.engine import MAX_INSTRUCTIONS, NativeEngine
from archsearch.compiler.native.source import cell_source
from archsearch.errors import EngineError
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import Node, Structure

GRU = zoo_structures()["gru"]


@pytest.fixture(autouse=True)
def _native():
    if why_not_native() is not None:
        pytest.skip(why_not_native())


@pytest.fixture
def warnings(caplog):
    """The log, with warnings that are given once given anew."""
    engines._say_once.cache_clear()
    caplog.set_level(logging.WARNING)
    yield caplog
    engines._say_once.cache_clear()


def train_once(layer, x):
    layer.zero_grad()
    output, _ = layer(x)
    output.square().mean().backward()
    return [output.detach(), *(parameter.grad.clone() for parameter in layer.parameters())]


def test_native_is_what_the_table_says():
    assert ENGINES["native"] is NativeEngine
    layer = RecurrentLayer("gru", 3, 4, engine="native")
    assert isinstance(layer.unroll, NativeEngine)
    assert "engine=native" in repr(layer)
    assert RecurrentLayer("gru", 3, 4).engine == "native"


@pytest.mark.parametrize("name", ["gru", "lstm", "mut1"])
@pytest.mark.parametrize("engine", ["native", "auto"])
def test_copies_and_exchange_of_weights(name, engine):
    layer = RecurrentLayer(name, 3, 4, num_layers=2, engine=engine)
    torch.manual_seed(0)
    x = torch.randn(5, 2, 3)
    expected = train_once(layer, x)
    twin = RecurrentLayer(name, 3, 4, num_layers=2, engine=engine)
    twin.load_state_dict(layer.state_dict())
    for other in (twin, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):  # noqa: S301
        assert type(other.unroll) is type(layer.unroll)
        for one, same in zip(train_once(other, x), expected, strict=True):
            assert torch.equal(one, same)
    slow = RecurrentLayer(name, 3, 4, num_layers=2, engine="interpreter")
    slow.load_state_dict(layer.state_dict())
    assert list(slow.state_dict()) == list(layer.state_dict())
    for one, other in zip(train_once(slow, x), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    layer.load_state_dict(slow.state_dict())
    assert torch.equal(train_once(layer, x)[0], expected[0])


def test_a_copy_does_not_share_weights():
    layer = RecurrentLayer("gru", 3, 4, engine="native")
    x = torch.randn(5, 2, 3)
    before = layer(x)[0].detach().clone()
    other = copy.deepcopy(layer)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 1
    assert torch.equal(layer(x)[0], before)
    assert not torch.equal(other(x)[0], before)


def test_a_layer_may_change_its_type_and_its_sizes():
    """One engine serves both types of number, and any length and batch."""
    layer = RecurrentLayer("lstm", 3, 4, engine="native")
    slow = RecurrentLayer("lstm", 3, 4, engine="interpreter")
    slow.load_state_dict(layer.state_dict())
    for dtype, shape in ((torch.float32, (5, 2, 3)), (torch.float64, (2, 7, 3)), (torch.float32, (9, 1, 3))):
        x = torch.randn(shape, dtype=dtype)
        output, _ = layer.to(dtype)(x)
        torch.testing.assert_close(output, slow.to(dtype)(x)[0], rtol=1e-5, atol=1e-6)
        assert output.dtype == dtype


def test_threads_do_not_disturb_each_other():
    names = ["gru", "lstm"]
    cases, expected = {}, {}
    for name in names:
        structure = zoo_structures()[name]
        cases[name] = draw_case(structure, 20, 8, 16, 40)
        expected[name] = values_and_gradients(NativeEngine(lower(structure)), *cases[name])
    start, wrong = threading.Barrier(2), []

    def work(name):
        run = NativeEngine(lower(zoo_structures()[name]))
        start.wait()
        for _ in range(20):
            actual = values_and_gradients(run, *cases[name])
            if not all(torch.equal(one, other) for one, other in zip(actual, expected[name], strict=True)):
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_backward_pass_in_another_thread():
    case = draw_case(GRU, 5, 3, 4, 9)
    expected = values_and_gradients(NativeEngine(lower(GRU)), *case)[2:]
    run, gradients = NativeEngine(lower(GRU)), []
    output, last = run(*case)
    loss = sum((value * torch.linspace(0.5, 1.5, value.numel()).view_as(value)).sum() for value in (output, *last))
    inputs = [case[0], *case[1], *case[2].values()]
    thread = threading.Thread(target=lambda: gradients.extend(torch.autograd.grad(loss, inputs)))
    thread.start()
    thread.join()
    assert all(torch.equal(one, other) for one, other in zip(gradients, expected, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_types_of_number_that_are_not_compiled(dtype, warnings):
    layer = RecurrentLayer("gru", 3, 4, engine="native").to(dtype)
    x = torch.randn(5, 2, 3).to(dtype)
    with pytest.raises(EngineError, match=rf"expected float32 or float64, got {dtype}.*engine=interpreter"):
        layer(x)
    slow, fast = (RecurrentLayer("gru", 3, 4, engine=name).to(dtype) for name in ("interpreter", "auto"))
    for other in (slow, fast):
        other.load_state_dict(layer.state_dict())
    for _ in range(2):
        for one, same in zip(train_once(fast, x), train_once(slow, x), strict=True):
            assert torch.equal(one, same)
    assert len(warnings.records) == 1
    assert "the slower interpreter runs instead" in warnings.text


def test_other_devices(warnings):
    x = torch.randn(5, 2, 3, device="meta")
    with pytest.raises(EngineError, match=r"expected tensors on the CPU, got one on meta"):
        RecurrentLayer("gru", 3, 4, engine="native").to("meta")(x)
    output, last = RecurrentLayer("gru", 3, 4, engine="auto").to("meta")(x)
    assert (output.shape, output.device.type, last.shape) == ((5, 2, 4), "meta", (1, 2, 4))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda(warnings):
    layer = RecurrentLayer("gru", 3, 4)
    x = torch.randn(5, 2, 3)
    expected = layer(x)[0]
    torch.testing.assert_close(layer.cuda()(x.cuda())[0].cpu(), expected, rtol=1e-4, atol=1e-5)
    native = RecurrentLayer("gru", 3, 4, engine="native").cuda()
    with pytest.raises(EngineError, match="expected tensors on the CPU, got one on cuda"):
        native(x.cuda())


def test_mixed_types():
    x, states, parameters = draw_case(GRU, 3, 2, 4, 5)
    run = NativeEngine(lower(GRU))
    message = r"expected tensors of one type, got torch.float64 and torch.float32. Convert with .to\(\)"
    with pytest.raises(EngineError, match=message):
        run(x, tuple(state.float() for state in states), parameters)
    name = next(iter(parameters))
    with pytest.raises(EngineError, match=message):
        run(x, states, parameters | {name: parameters[name].float()})


def test_complex_and_integer_inputs_are_refused():
    run = NativeEngine(lower(GRU))
    x, states, parameters = draw_case(GRU, 3, 2, 4, 5)
    for dtype in (torch.int64, torch.complex128):
        with pytest.raises(EngineError, match="expected float32 or float64"):
            run(x.detach().to(dtype), states, parameters)


def huge_structure(num_nodes):
    nodes = {"n0": Node("mul", ("x", "h"))}
    for index in range(1, num_nodes):
        nodes[f"n{index}"] = Node("sub" if index % 2 else "add", (f"n{index - 1}", "h"))
    return Structure(("h",), nodes, {"h": f"n{num_nodes - 1}"})


def test_a_graph_of_2000_nodes(warnings):
    structure = huge_structure(2000)
    with pytest.raises(EngineError, match=rf"200\d instructions, expected at most {MAX_INSTRUCTIONS}\. Use engine="):
        NativeEngine(lower(structure))
    x, states, parameters = draw_case(structure, 2, 1, 3, 3)
    for _ in range(2):
        run = engines.prepare("auto", lower(structure))
        output, _ = run(x, states, parameters)
        assert torch.equal(output, Interpreter(lower(structure))(x, states, parameters)[0])
    assert len(warnings.records) == 1
    assert "instructions" in warnings.text


def test_a_large_graph_below_the_limit_is_compiled():
    structure = huge_structure(300)
    x, states, parameters = draw_case(structure, 2, 1, 3, 3)
    output, _ = NativeEngine(lower(structure))(x, states, parameters)
    torch.testing.assert_close(output, Interpreter(lower(structure))(x, states, parameters)[0])


def test_code_grows_no_faster_than_the_number_of_matrices():
    def chain(num_matrices):
        value = "x"
        for _ in range(num_matrices):
            value = f"tanh(linear({value}))"
        return lower(CellGraph.from_equations(f"h' = tanh(linear(h) + {value})").structure)

    lengths = [len(cell_source(chain(num_matrices))) for num_matrices in (10, 20, 30)]
    assert lengths[2] - lengths[1] <= 1.1 * (lengths[1] - lengths[0])
    assert cell_source(chain(30)).count("LARGER") <= 3 * 2  # its arguments are written twice by the preprocessor
    engine = NativeEngine(chain(30))
    engine.code(torch.float32)  # within the compiler's time


@pytest.mark.parametrize("equations", ["h' = tanh(linear(x, h))", "h' = tanh(linear(h) + x)", "h' = tanh(x) * h"])
def test_an_empty_batch(equations):
    results = []
    layers = [
        RecurrentLayer(CellGraph.from_equations(equations), 3, 4, engine=name) for name in ("interpreter", "native")
    ]
    for layer in layers:
        x = torch.zeros(5, 0, 3, requires_grad=True)
        output, last = layer(x)
        output.sum().backward()
        results.append([output, last, x.grad, *(parameter.grad for parameter in layer.parameters())])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)
