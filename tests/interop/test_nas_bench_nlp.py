"""Recipes of NAS-Bench-NLP against a module that computes them as their formulas say."""

import keyword
import random

import pytest
import torch
from shared_unrolling import why_not_native
from torch import nn

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError, InvalidGraphError
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cost import count_parameters
from archsearch.interop import from_nas_bench_nlp, nas_bench_nlp_weights

INPUT_SIZE, HIDDEN_SIZE = 4, 5
GRU = {
    "r": {"op": "linear", "input": ["x", "h_prev_0"]},
    "r_act": {"op": "activation_sigm", "input": ["r"]},
    "z": {"op": "linear", "input": ["x", "h_prev_0"]},
    "z_act": {"op": "activation_sigm", "input": ["z"]},
    "rh": {"op": "elementwise_prod", "input": ["r_act", "h_prev_0"]},
    "h_tilde": {"op": "linear", "input": ["x", "rh"]},
    "h_tilde_act": {"op": "activation_tanh", "input": ["h_tilde"]},
    "h_new_0": {"op": "blend", "input": ["z_act", "h_prev_0", "h_tilde_act"]},
}


OPS = (
    *("linear", "linear", "blend", "elementwise_sum", "elementwise_prod"),
    *("activation_tanh", "activation_sigm", "activation_leaky_relu"),
)


class ForeignLinear(nn.Module):
    """A matrix for each input and one bias; its tensors are called as the authors' are."""

    def __init__(self, widths):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(HIDDEN_SIZE, width) * 0.4) for width in widths)
        self.bias = nn.Parameter(torch.randn(HIDDEN_SIZE) * 0.4)


class ForeignCell(nn.Module):
    """Computes a recipe by recursion, node by node."""

    def __init__(self, recipe):
        super().__init__()
        self.recipe = recipe
        self.num_states = sum(name.startswith("h_new_") and name[6:].isdigit() for name in recipe)
        self.components = nn.ModuleDict(
            {
                name: ForeignLinear([INPUT_SIZE if value == "x" else HIDDEN_SIZE for value in node["input"]])
                for name, node in recipe.items()
                if node["op"] == "linear"
            }
        )

    def step(self, x, states):
        known = {"x": x} | {f"h_prev_{index}": state for index, state in enumerate(states)}

        def value(name):
            if name not in known:
                op = self.recipe[name]["op"]
                inputs = [value(other) for other in self.recipe[name]["input"]]
                if op == "linear":
                    linear = self.components[name]
                    known[name] = linear.bias + sum(v @ w.T for v, w in zip(inputs, linear.weights, strict=True))
                elif op == "blend":
                    known[name] = inputs[0] * inputs[1] + (1 - inputs[0]) * inputs[2]
                elif op == "elementwise_sum":
                    known[name] = torch.stack(inputs).sum(0)
                elif op == "elementwise_prod":
                    known[name] = torch.stack(inputs).prod(0)
                else:
                    activation = {"tanh": nn.Tanh(), "sigm": nn.Sigmoid(), "leaky_relu": nn.LeakyReLU()}
                    known[name] = activation[op.removeprefix("activation_")](inputs[0])
            return known[name]

        return tuple(value(f"h_new_{index}") for index in range(self.num_states))

    def forward(self, x, states):
        outputs = []
        for x_t in x:
            states = self.step(x_t, states)
            outputs.append(states[0])
        return torch.stack(outputs), states


def random_recipe(rng):
    """Draws nodes over x, the states and earlier nodes, squashed at the end so that no step explodes."""
    num_states, num_nodes = rng.randint(1, 3), rng.randint(3, 20)
    values = ["x", *(f"h_prev_{index}" for index in range(num_states))]
    recipe = {"first": {"op": "linear", "input": list(values)}}
    # x alone is as wide as the input
    values = [*values[1:], "first"]
    for index in range(num_nodes):
        op = rng.choice(OPS)
        num_inputs = {"linear": rng.randint(1, 3), "blend": 3}.get(op, 1 if op.startswith("a") else rng.randint(2, 4))
        pool = [*values, "x"] if op == "linear" else values
        recipe[f"node_{index}"] = {"op": op, "input": [rng.choice(pool) for _ in range(num_inputs)]}
        values.append(f"node_{index}")
    for index in range(num_states):
        recipe[f"last_{index}"] = {"op": "linear", "input": [*rng.sample(values[-3:], 2), "x"]}
        recipe[f"h_new_{index}"] = {"op": "activation_tanh", "input": [f"last_{index}"]}
    return recipe


def needed(recipe):
    found, stack = set(), [name for name in recipe if name.startswith("h_new_")]
    while stack:
        name = stack.pop()
        if name in recipe and name not in found:
            found.add(name)
            stack += recipe[name]["input"]
    return found


def respelt(recipe, rng):
    """Writes a recipe in another way: order, names, nesting, gates spelt out, nodes that nobody reads."""
    new = {}
    names = {name: name if name.startswith("h_new_") else f"v{k}" for k, name in enumerate(recipe)}

    def renamed(value):
        return names.get(value, value)

    for name, node in recipe.items():
        op, inputs = node["op"], [renamed(value) for value in node["input"]]
        target = names[name]
        if op in ("elementwise_sum", "elementwise_prod"):
            rng.shuffle(inputs)
            while len(inputs) > 2 and rng.random() < 0.7:
                pair = f"{target}_p{len(inputs)}"
                new[pair] = {"op": op, "input": [inputs.pop(), inputs.pop()]}
                inputs.insert(0, pair)
        elif op == "linear" and len(inputs) > 1:
            rng.shuffle(inputs)
        new[target] = {"op": op, "input": inputs}
    new["nobody"] = {"op": "linear", "input": ["x", "v0"]}
    items = list(new.items())
    rng.shuffle(items)
    return dict(items)


native = pytest.param("native", marks=pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native())))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("engine", [native])
def test_recipes_run_natively(seed, engine):
    assert_equals_foreign(random_recipe(random.Random(seed)), seed, engine)


@pytest.mark.parametrize("seed", range(100))
def test_random_recipes_equal_the_foreign_cell(seed):
    assert_equals_foreign(random_recipe(random.Random(seed)), seed, "interpreter")


def assert_equals_foreign(recipe, seed, engine):
    torch.manual_seed(seed)
    foreign = ForeignCell(recipe).double()
    layer = RecurrentLayer(from_nas_bench_nlp(recipe), INPUT_SIZE, HIDDEN_SIZE, engine=engine).double()
    layer.load_weights(nas_bench_nlp_weights(recipe, foreign.state_dict(prefix="rnns.0.cell.")))
    x = torch.randn(5, 2, INPUT_SIZE, dtype=torch.float64)
    states = tuple(torch.randn(2, HIDDEN_SIZE, dtype=torch.float64) for _ in range(foreign.num_states))
    expected, after = foreign(x, states)
    before = tuple(state[None] for state in states)
    output, last = layer(x, before if len(before) > 1 else before[0])
    torch.testing.assert_close(output, expected, rtol=1e-10, atol=1e-10)
    for one, other in zip(last if len(before) > 1 else (last,), after, strict=True):
        torch.testing.assert_close(one[0], other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(100))
def test_parameters_count_as_the_foreign_cell_counts_them(seed):
    recipe = random_recipe(random.Random(seed))
    live = {name: node for name, node in recipe.items() if name in needed(recipe)}
    expected = sum(tensor.numel() for tensor in ForeignCell(live).parameters())
    assert count_parameters(from_nas_bench_nlp(recipe).structure, INPUT_SIZE, HIDDEN_SIZE) == expected


@pytest.mark.parametrize("seed", range(100))
def test_respelt_recipes_have_one_digest(seed):
    rng = random.Random(seed)
    recipe = random_recipe(rng)
    cell = from_nas_bench_nlp(recipe)
    assert from_nas_bench_nlp(respelt(recipe, rng)).digest == cell.digest


def test_their_gru_and_lstm_are_those_of_the_zoo():
    assert from_nas_bench_nlp(GRU).digest == zoo_cell("gru").digest
    spelt_out = {
        **GRU,
        "zh": {"op": "elementwise_prod", "input": ["h_prev_0", "z_act"]},
        "zn": {"op": "elementwise_prod", "input": ["z_act", "h_tilde_act"]},
    }
    assert from_nas_bench_nlp(spelt_out).digest == zoo_cell("gru").digest, "dead nodes"
    exchanged = {**GRU, "h_new_0": {"op": "blend", "input": ["z_act", "h_tilde_act", "h_prev_0"]}}
    assert from_nas_bench_nlp(exchanged).digest != zoo_cell("gru").digest
    one, other = (
        {**GRU, "h_tilde": {"op": "elementwise_sum", "input": ["a", "b"]}, "a": a, "b": b}
        for a, b in (
            ({"op": "linear", "input": ["x"]}, {"op": "linear", "input": ["rh", "h_prev_0"]}),
            ({"op": "linear", "input": ["rh", "x"]}, {"op": "linear", "input": ["h_prev_0"]}),
        )
    )
    assert from_nas_bench_nlp(one).digest == from_nas_bench_nlp(other).digest, "where in a sum the biases sit"


def test_states_are_the_nodes_called_h_new_and_a_number():
    recipe = {
        "h_new_1_part": {"op": "linear", "input": ["x", "h_prev_1"]},
        "h_new_1_": {"op": "activation_sigm", "input": ["h_new_1_part"]},
        "h_new_1": {"op": "activation_tanh", "input": ["h_new_1_"]},
        "h_new_0": {"op": "elementwise_sum", "input": ["h_new_1", "h_prev_0"]},
    }
    cell = from_nas_bench_nlp(recipe)
    assert cell.states == ("h", "h_1")
    assert cell.new_states["h"] == "h_new_0"
    assert {node.weights for node in cell.nodes.values() if node.weights} == {"h_new_1_part_1", "h_new_1_part_2"}


def test_weights_are_found_by_the_names_of_their_nodes():
    layer = RecurrentLayer(from_nas_bench_nlp(GRU), 3, 2, engine="interpreter")
    names = {name for name, _ in layer.layers[0].named_parameters()}
    assert names == {
        f"{node}_{place}" for node in ("r", "z", "h_tilde") for place in ("1.weight", "1.bias", "2.weight")
    }


def test_arrays_of_two_layers_are_refused():
    both = ForeignCell(GRU).state_dict(prefix="rnns.0.cell.") | ForeignCell(GRU).state_dict(prefix="rnns.1.cell.")
    first, second = (rf"'rnns\.{layer}\.cell\.components\.r\.bias'" for layer in (0, 1))
    with pytest.raises(ConfigError, match=rf"one array for 'components\.r\.bias', got two, {first} and {second}"):
        nas_bench_nlp_weights(GRU, both)


def test_missing_arrays_are_all_named():
    arrays = ForeignCell(GRU).state_dict()
    del arrays["components.r.bias"], arrays["components.z.weights.1"]
    with pytest.raises(ConfigError, match=r"none for 'components\.r\.bias', 'components\.z\.weights\.1'\. Give all"):
        nas_bench_nlp_weights(GRU, arrays)
    with pytest.raises(ConfigError, match=r"'components\.r\.weights\.0', .*keys begin 'weight'"):
        nas_bench_nlp_weights(GRU, {"weight": torch.ones(1)})
    no_weights = {"h_new_0": {"op": "activation_tanh", "input": ["x"]}}
    assert nas_bench_nlp_weights(no_weights, arrays) == {}


def linear(*inputs):
    return {"op": "linear", "input": list(inputs)}


@pytest.mark.parametrize(
    ("recipe", "messages"),
    [
        (None, ["recipe: expected a dict of nodes, got NoneType. Read the JSON text with json.loads."]),
        ([GRU], ["got list"]),
        ("{}", ["got str"]),
        ({}, ["recipe: expected a node 'h_new_0'"]),
        ({"h_new_1": linear("x")}, ["'h_new_0', which is the output, got none"]),
        ({"h_new_0": linear("x"), "h_new_2": linear("x")}, ["'h_new_2' needs a node 'h_new_1'"]),
        (
            {"h_new_0": {"op": "linaer", "input": ["x"]}},
            ["node 'h_new_0': expected an op, got 'linaer'. Did you mean 'linear'"],
        ),
        ({"h_new_0": {"input": ["x"]}}, ["got none"]),
        ({"h_new_0": {"op": ["linear"], "input": ["x"]}}, ["expected an op, got list"]),
        ({"h_new_0": {"op": "linear"}}, ["node 'h_new_0': expected 'input', a list of names, got none"]),
        ({"h_new_0": {"op": "linear", "input": "x"}}, ["got 'x'"]),
        ({"h_new_0": {"op": "linear", "input": ["x", 3]}}, ["got list"]),
        ({"h_new_0": {"op": "linear", "input": ["x"], "bias": True}}, ["unknown field 'bias'"]),
        ({"h_new_0": "linear"}, ["expected a dict with 'op' and 'input', got 'linear'"]),
        ({"h_new_0": linear()}, ["'linear' takes at least 1 inputs, got 0"]),
        ({"h_new_0": {"op": "blend", "input": ["x", "x"]}}, ["'blend' takes 3 inputs, got 2"]),
        ({"h_new_0": {"op": "activation_tanh", "input": ["x", "x"]}}, ["takes 1 inputs, got 2"]),
        ({"h_new_0": {"op": "elementwise_sum", "input": ["x"]}}, ["at least 2 inputs, got 1"]),
        (
            {"h_new_0": linear("x", "nod"), "node": linear("x")},
            ["input 'nod' is neither 'x' nor 'h_prev_k' nor a node. Did you mean 'node'"],
        ),
        ({"h_new_0": linear("x", "h_prev_1")}, ["no node 'h_new_1' sets the state 'h_prev_1'"]),
        ({"h_new_0": linear("x", "h_prev_00")}, ["input 'h_prev_00': expected a state's number from 0 to 63"]),
        ({"h_new_0": linear("x", "h_prev_12345")}, ["'h_prev_12345': expected a state's number from 0 to 63"]),
        ({"h_new_0": linear("x", "h_prev_" + "1" * 5000)}, ["node 'h_new_0': input 'h_prev_1111"]),
        ({"h_new_0": linear("a"), "a": linear("b"), "b": linear("a")}, ["a cycle, 'a' reads 'b' reads 'a'"]),
        ({"h_new_0": linear("h_new_0")}, ["a cycle, 'h_new_0' reads 'h_new_0'"]),
        ({"h_new_0": linear("x"), "x": linear("h_prev_0")}, ["node 'x': this is the name of an input"]),
        ({"h_new_0": linear("x"), "h_prev_0": linear("x")}, ["node 'h_prev_0': this is the name of an input"]),
        ({"h_new_0": linear("x"), 3: linear("x")}, ["names of type str, got 3"]),
        (
            {"h_new_0": linear("x"), "h_new_64": linear("x")},
            ["node 'h_new_64': expected a state's number from 0 to 63"],
        ),
        ({"h_new_0": linear("x"), "h_new_12345": linear("x")}, ["node 'h_new_12345': expected a state's number"]),
        ({"h_new_0": linear("x"), "h_new_01": linear("x")}, ["node 'h_new_01': expected a state's number from 0"]),
        ({"h_new_0": linear("x"), "h_new_" + "1" * 5000: linear("x")}, ["node 'h_new_1111"]),
        (
            {"h_new_0": linear("nowhere"), "a": {"op": "soft", "input": []}, "b": linear()},
            ["'nowhere'", "'soft'", "'linear' takes"],
        ),
    ],
)
def test_all_mistakes_of_a_recipe_are_named(recipe, messages):
    with pytest.raises(InvalidGraphError) as caught:
        from_nas_bench_nlp(recipe)
    assert len(caught.value.violations) == len(messages), caught.value.violations
    for message in messages:
        assert any(message in violation for violation in caught.value.violations), caught.value.violations


ODD_NAMES = (
    *("class", "match", "tanh", "linear", "linear_1", "add_1", "h", "h_1", "c_", "1st", "", "é", "\0"),
    *("a b", "a'b", 'a"b', "a\nb", "a.b", "h' = x", "__import__('os')", "n" * 500),
)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_become_safe(name):
    recipe = {name: linear("x", "h_prev_0"), "h_new_0": {"op": "activation_tanh", "input": [name]}}
    cell = from_nas_bench_nlp(recipe)
    assert all(value.isidentifier() and not keyword.iskeyword(value) for value in cell.nodes)
    assert cell.digest == zoo_cell("tanh").digest
    assert type(cell).from_equations(cell.equations()).digest == cell.digest
    assert type(cell).from_json(cell.to_json()) == cell
    matrices = {f"components.{name}.weights.{index}": torch.ones(2, width) for index, width in enumerate((3, 2))}
    arrays = {**matrices, f"components.{name}.bias": torch.ones(2)}
    layer = RecurrentLayer(cell, 3, 2, engine="interpreter")
    layer.load_weights(nas_bench_nlp_weights(recipe, arrays))
    assert sorted(tensor.detach().sum().item() for tensor in layer.parameters() if tensor.dim() == 1) == [2.0]


def test_two_names_that_become_one_are_told_apart():
    recipe = {name: linear("x") for name in ("a b", "a.b", "n_a_b")}
    recipe["h_new_0"] = {"op": "elementwise_sum", "input": [*recipe, "h_prev_0"]}
    weights = {node.weights for node in from_nas_bench_nlp(recipe).nodes.values() if node.weights}
    assert weights == {"n_a_b_1", "n_a_b_2_1", "n_a_b_3_1"}


def test_huge_recipes_are_refused_or_read():
    with pytest.raises(InvalidGraphError, match="at most 2,000 nodes, got 100,001"):
        from_nas_bench_nlp({f"n{k}": linear("x") for k in range(100_000)} | {"h_new_0": linear("x")})
    with pytest.raises(InvalidGraphError, match="at most"):
        from_nas_bench_nlp({"h_new_0": linear(*["x"] * 100_000)})
    chain = {"n0": linear("x", "h_prev_0")}
    for k in range(1, 1900):
        chain[f"n{k}"] = {"op": "activation_tanh", "input": [f"n{k - 1}"]}
    chain["h_new_0"] = {"op": "activation_tanh", "input": ["n1899"]}
    assert len(from_nas_bench_nlp(dict(reversed(chain.items()))).nodes) == 1903
    with pytest.raises(InvalidGraphError) as caught:
        from_nas_bench_nlp({f"n{k}": {} for k in range(1000)})
    assert len(caught.value.violations) == 51


@pytest.mark.parametrize(
    ("op", "num_inputs"),
    [
        ("linear", 7),
        ("linear", 1),
        ("blend", 3),
        ("elementwise_sum", 2),
        ("elementwise_prod", 9),
        ("activation_sigm", 1),
    ],
)
def test_recipes_may_become_as_many_primitives_as_a_cell_may_have(op, num_inputs):
    def recipe(length):
        nodes = {"n0": {"op": op, "input": ["h_prev_0"] * num_inputs}, "dead": linear(*["x"] * 1900)}
        nodes |= {f"n{k}": {"op": "activation_tanh", "input": [f"n{k - 1}"]} for k in range(1, length)}
        return nodes | {"h_new_0": {"op": "elementwise_sum", "input": [f"n{length - 1}"] * 1001}}

    length = 2000 - len(from_nas_bench_nlp(recipe(1)).nodes) + 1
    assert len(from_nas_bench_nlp(recipe(length)).nodes) == 2000
    with pytest.raises(InvalidGraphError, match=r"^recipe: expected a cell of at most 2,000 primitives, got 2,001"):
        from_nas_bench_nlp(recipe(length + 1))


def test_wide_recipes_are_refused_before_they_are_written():
    wide = {f"n{k}": linear(*["x"] * 2000) for k in range(100)}
    with pytest.raises(InvalidGraphError, match="recipe: expected a cell of at most 2,000 primitives, got 400,099"):
        from_nas_bench_nlp({**wide, "h_new_0": linear(*wide)})
