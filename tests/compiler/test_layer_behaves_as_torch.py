"""What torch promises of `nn.GRU` and `nn.LSTM` as modules, done to them and to the layers that stand in their place.

A behaviour takes a module of two layers and both directions and an input `[T, B, I]`, and returns tensors, which must
be equal. Modules are modified at will: each test builds its own.
"""

import copy
import io
import pickle

import pytest
import torch
from shared_torch_pairs import ENGINES, HIDDEN_SIZE, build_pair, draw_input
from shared_unrolling import why_not_native
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacrev, jvp, stack_module_state, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import EngineError

NAMES = ("gru_torch", "lstm_torch")


def halve(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.5)
    return module


def matrices(module):
    """Returns the matrices: torch has two biases where some cells have one."""
    return {name: weight.detach() for name, weight in module.named_parameters() if weight.dim() == 2}


def total_squares(tensors):
    """Returns one number for all matrices, whose order and packing differ."""
    return torch.stack([tensor.square().sum() for tensor in tensors]).sum()


def of_state_dict(module, x):
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = halve(copy.deepcopy(module))
    other.load_state_dict(torch.load(file, weights_only=True))
    return [other(x)[0]]


def of_deep_copy(module, x):
    module(x)[0].sum().backward()
    other = copy.deepcopy(module)
    halve(module)
    return [other(x)[0], module(x)[0]]


def of_pickle(module, x):
    data = pickle.dumps(module)
    halve(module)
    return [pickle.loads(data)(x)[0], module(x)[0]]  # noqa: S301


def of_default_state(module, x):
    output, last = module(x)
    zeros = torch.zeros(4, x.shape[1], HIDDEN_SIZE, dtype=x.dtype)
    again, _ = module(input=x, hx=(zeros, zeros) if isinstance(last, tuple) else zeros)
    return [output, again]


def of_flatten_parameters(module, x):
    module.flatten_parameters()
    return [module(x)[0]]


def of_float(module, x):
    output, _ = module.float()(x.float())
    assert output.dtype == torch.float32
    return [output]


def of_meta(module, x):
    output, _ = module.to("meta")(x.to("meta"))
    assert output.is_meta
    return [torch.tensor(output.shape)]


def of_shared_memory(module, x):
    module.share_memory()
    assert all(parameter.is_shared() for parameter in module.parameters())
    return [module(x)[0]]


def of_no_grad(module, x):
    with torch.no_grad():
        output = module(x)[0]
    assert not output.requires_grad
    return [output]


def of_inference_mode(module, x):
    with torch.inference_mode():
        output = module(x)[0]
    assert output.is_inference()
    return [output]


def of_frozen_weights(module, x):
    output, _ = module.requires_grad_(False)(x)
    assert output.requires_grad
    assert not module(x.detach())[0].requires_grad
    return [output, *torch.autograd.grad(output.square().sum(), x)]


def of_hooks(module, x):
    seen = []
    module.register_forward_pre_hook(lambda _, given: (2 * given[0],))
    module.register_forward_hook(lambda _, given, results: (seen.append(given[0]), (3 * results[0], results[1]))[1])
    module.register_full_backward_hook(lambda _, gradients, __: seen.extend(gradients))
    output = module(x)[0]
    output.square().sum().backward()
    return [output, *seen, x.grad]


def of_training(module, x):
    optimizer = torch.optim.SGD([weight for weight in module.parameters() if weight.dim() == 2], 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        module(x)[0].square().mean().backward()
        optimizer.step()
    return [module(x)[0]]


def of_retained_graph(module, x):
    loss = module(x)[0].square().sum()
    loss.backward(retain_graph=True)
    loss.backward()
    return [x.grad]


def of_checkpoint(module, x):
    output = checkpoint(lambda given: module(given)[0], x, use_reentrant=False)
    output.square().sum().backward()
    return [output, x.grad]


def of_empty_batch(module, x):
    output, last = module(x[:, :0])
    return [output, *(last if isinstance(last, tuple) else (last,))]


def of_strides(module, x):
    return [module(x.transpose(0, 1))[0], module(x[::2, 1:])[0], module(x[:1, :1].expand(3, 2, -1))[0]]


def of_gradcheck(module, x):
    module.requires_grad_(False)
    return [torch.tensor(torch.autograd.gradcheck(lambda given: module(given)[0], x[:2, :2].detach().requires_grad_()))]


def of_functional_call(module, x):
    weights = {name: 0.5 * weight for name, weight in module.named_parameters()}
    output, _ = functional_call(module, weights, (x,))
    gradients = torch.autograd.grad(output.square().sum(), [*matrices_of(weights), x])
    return [output, module(x)[0], total_squares(gradients[:-1]), gradients[-1]]


def matrices_of(weights):
    return [weight for weight in weights.values() if weight.dim() == 2]


def of_grad(module, x):
    def loss(weights, x):
        return functional_call(module, weights, (x,))[0].square().sum()

    of_weights, of_x = grad(loss, argnums=(0, 1))(matrices(module), x.detach())
    return [total_squares(of_weights.values()), of_x]


def of_unrelated_grad(module, x):
    """The layer's own tensors are no part of the transform."""
    x = x.detach()
    module.requires_grad_(False)
    return [grad(lambda factor: (factor * module(x)[0]).square().sum())(torch.ones(2 * HIDDEN_SIZE, dtype=x.dtype))]


def of_vmap_over_inputs(module, x):
    return [mapped(module, lambda given: module(given)[0])(torch.stack((x, 2 * x)))]


def of_vmap_over_models(module, x):
    weights, _ = stack_module_state([module, halve(copy.deepcopy(module))])
    return [mapped(module, lambda one: functional_call(module, one, (x,))[0])(weights)]


def of_gradients_per_sample(module, x):
    weights = matrices(module)

    def loss(weights, sequence):
        return functional_call(module, weights, (sequence[:, None],))[0].square().sum()

    def squares(sequence):
        return total_squares(grad(loss)(weights, sequence).values())

    return [mapped(module, squares)(x.detach().transpose(0, 1))]


def mapped(module, function):
    """Returns `vmap(function)`, or what it means: torch's own recurrent modules have no such rule."""
    if isinstance(module, RecurrentLayer):
        return vmap(function)

    def run(stacked):
        if isinstance(stacked, dict):
            each = [dict(zip(stacked, tensors, strict=True)) for tensors in zip(*stacked.values(), strict=True)]
        else:
            each = list(stacked)
        return torch.stack([function(one) for one in each])

    return run


def of_jvp(module, x):
    x = x.detach()
    return list(jvp(lambda given: module(given)[0], (x,), (torch.ones_like(x),)))


def of_forward_mode(module, x):
    with forward_ad.dual_level():
        output = module(forward_ad.make_dual(x.detach(), torch.ones_like(x)))[0]
        return list(forward_ad.unpack_dual(output))


def of_jacobian(module, x):
    x = x[:2, :2].detach()
    return [
        jacrev(lambda given: module(given)[0])(x),
        torch.autograd.functional.jacobian(lambda given: module(given)[0], x, vectorize=True),
    ]


def of_batched_gradients(module, x):
    output = module(x)[0]
    return torch.autograd.grad(
        output, x, torch.stack((torch.ones_like(output), output.detach())), is_grads_batched=True
    )


def of_hessian(module, x):
    x = x[:2, :1].detach()
    return [
        hessian(lambda given: module(given)[0].square().sum())(x),
        torch.autograd.functional.hessian(lambda given: module(given)[0].square().sum(), x),
    ]


def of_gradient_penalty(module, x):
    (gradient,) = torch.autograd.grad(module(x)[0].square().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    return [x.grad]


def of_export(module, x):
    x = x.detach()
    return [torch.export.export(module, (x,)).module()(2 * x)[0]]


def of_recorded_operations(module, x):
    x = x.detach()
    with torch.no_grad():
        return [make_fx(lambda given: module(given)[0])(x)(2 * x)]


def of_trace(module, x):
    x = x.detach()
    return [torch.jit.trace(module.requires_grad_(False), x)(2 * x)[0]]


def of_a_tensor_that_escaped(module, x):
    kept = []
    grad(lambda given: kept.append(given) or given.sum())(x.detach())
    return [module(kept[0])[0]]


def of_compile(module, x):
    torch.compiler.reset()  # code that it once gave up on runs uncompiled, and native code then need not refuse
    output, _ = torch.compile(module, backend="eager")(x)
    return [output, *torch.autograd.grad(output.square().sum(), x)]


PLAIN = (
    *(of_state_dict, of_deep_copy, of_pickle, of_default_state, of_flatten_parameters, of_float, of_shared_memory),
    *(of_no_grad, of_inference_mode, of_frozen_weights, of_hooks, of_training, of_retained_graph, of_checkpoint),
    *(of_empty_batch, of_strides, of_gradcheck, of_functional_call),
)
# native code refuses these, and `auto` runs the interpreter
TRANSFORMING = (
    *(of_meta, of_grad, of_unrelated_grad, of_vmap_over_inputs, of_vmap_over_models, of_gradients_per_sample, of_jvp),
    *(of_forward_mode, of_jacobian, of_batched_gradients, of_hessian, of_gradient_penalty, of_export),
    *(of_recorded_operations, of_a_tensor_that_escaped, of_trace, of_compile),
)


TORCH_WARNS = pytest.mark.filterwarnings(
    "ignore:`torch.jit.*` is deprecated",  # torch's own rules of forward mode
    "ignore:The .grad attribute of a Tensor",  # torch.compile where it resumes
    "ignore::torch.jit.TracerWarning",  # the checks of shapes
    "ignore:The tensor attributes self._flat_weights",  # the export of nn.GRU
)


def assert_same_on_both(behaviour, name, engine):
    pair = build_pair(name, 2, engine, bidirectional=True, dtype=torch.float64)
    expected, actual = (list(behaviour(module, draw_input("time first", torch.float64)[0])) for module in pair)
    assert len(expected) == len(actual)
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6 if one.dtype == torch.float32 else 1e-9)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("behaviour", PLAIN)
@pytest.mark.parametrize("name", NAMES)
def test_as_any_module(name, behaviour, engine):
    if engine == "native" and why_not_native() is not None:
        pytest.skip(why_not_native())
    assert_same_on_both(behaviour, name, engine)


@TORCH_WARNS
@pytest.mark.parametrize("behaviour", TRANSFORMING)
@pytest.mark.parametrize("name", NAMES)
def test_under_transforms(name, behaviour):
    assert_same_on_both(behaviour, name, "auto")


@TORCH_WARNS
@pytest.mark.parametrize("behaviour", TRANSFORMING)
def test_native_code_refuses_transforms(behaviour):
    if why_not_native() is not None:
        pytest.skip(why_not_native())
    _, layer = build_pair("gru_torch", 2, "native", bidirectional=True, dtype=torch.float64)
    with pytest.raises(EngineError, match=r"^engine native: .*[Uu]se engine=interpreter"):
        list(behaviour(layer, draw_input("time first", torch.float64)[0]))


@TORCH_WARNS
@pytest.mark.parametrize("engine", ["auto", "interpreter"])
def test_compiled_autograd(engine):
    torch.compiler.reset()
    layer = RecurrentLayer("gru", 2, 3, engine=engine)
    x = torch.randn(1, 2, 2, requires_grad=True)
    (expected,) = torch.autograd.grad(layer(x)[0].square().sum(), x)
    loss = layer(x)[0].square().sum()
    with torch._dynamo.compiled_autograd._enable(torch.compile(backend="eager")):
        loss.backward()
    torch.testing.assert_close(x.grad, expected)
