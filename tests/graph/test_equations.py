"""Equations to graph and back."""

import contextlib
import random
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_cells import random_structure

from archsearch.errors import ConfigError, InvalidGraphError
from archsearch.graph.bias_inits import split_reference
from archsearch.graph.canonical import canonicalize
from archsearch.graph.catalog import zoo_cell, zoo_names
from archsearch.graph.checks import find_violations
from archsearch.graph.equations import MAX_TEXT, parse_equations
from archsearch.graph.expressions import MAX_NESTING
from archsearch.graph.formatting import format_equations
from archsearch.graph.structure import Node, Structure


def assert_same_up_to_names(first: Structure, second: Structure) -> None:
    """Walks both cells at once and demands a one-to-one map of their nodes: states, slots, sharing, attributes."""
    assert first.states == second.states
    assert len(first.nodes) == len(second.nodes)
    forward: dict[str, str] = {}
    backward: dict[str, str] = {}
    stack = [(first.new_states[state], second.new_states[state]) for state in first.states]
    while stack:
        one, other = stack.pop()
        if one in forward or other in backward:
            assert forward.get(one) == other
            assert backward.get(other) == one
            continue
        forward[one], backward[other] = other, one
        if one not in first.nodes:
            assert one == other  # x and the states keep their names
            continue
        a, b = first.nodes[one], second.nodes[other]
        assert (a.primitive, a.attributes()) == (b.primitive, b.attributes())
        assert len(a.operands) == len(b.operands)
        stack.extend(zip(a.operands, b.operands, strict=True))


def renamed(structure: Structure, rng: random.Random) -> Structure:
    """Gives nodes machine names, some a person's name, in any order, and some matrices names."""
    names = list(structure.nodes)
    rng.shuffle(names)
    new = {}
    for number, name in enumerate(names):
        machine = f"{structure.nodes[name].primitive}_{number}"
        new[name] = rng.choice((machine, machine, machine, f"v{number}", f"g{number}"))
    nodes = {}
    for name in names:
        node = structure.nodes[name]
        operands = tuple(new.get(operand, operand) for operand in node.operands)
        has_name = node.primitive in ("linear", "peephole") and rng.random() < 0.4
        nodes[new[name]] = replace(node, operands=operands, weights=f"w_{len(nodes)}" if has_name else "")
    return Structure(
        structure.states, nodes, {state: new.get(value, value) for state, value in structure.new_states.items()}
    )


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidGraphError) as caught:
        parse_equations(text)
    return caught.value.violations


def test_gru_is_read_as_written():
    structure = parse_equations(
        """
        r  = sigmoid(linear(x, h))
        z  = sigmoid(linear(x, h))   # update gate
        n  = tanh(linear(x, r * h))
        h' = n + z * (h - n)
        """
    )
    assert structure.states == ("h",)
    assert structure.new_states == {"h": "add_4"}
    assert structure.nodes["add_4"] == Node("add", ("n", "mul_2"))
    assert structure.nodes["mul_2"] == Node("mul", ("z", "sub_1"))
    assert structure.nodes["sub_1"] == Node("sub", ("h", "n"))
    assert structure.nodes["r"] == Node("sigmoid", ("add_1",))
    assert structure.nodes["add_1"] == Node("add", ("linear_1", "linear_2"))
    assert structure.nodes["linear_1"] == Node("linear", ("x",))
    assert structure.nodes["linear_2"] == Node("linear", ("h",), bias=False)
    assert len(structure.nodes) == 16


def test_short_form_of_linear_equals_the_long_one():
    short = parse_equations("h' = tanh(linear(x, h, x * h, bias_init=1, name=w))")
    long = parse_equations(
        "h' = tanh(linear(x, bias_init=1, name=w_1) + linear(h, bias=no, name=w_2) + linear(x * h, bias=no, name=w_3))"
    )
    assert_same_up_to_names(short, long)
    assert not any(node.bias for node in parse_equations("h' = linear(x, h, bias=no)").nodes.values() if node.weights)


def test_operators_bind_and_associate_as_in_mathematics():
    structure = parse_equations("h' = x - h - x * h + x")
    top = structure.nodes[structure.new_states["h"]]
    assert top == Node("add", ("sub_2", "x"))
    assert structure.nodes["sub_2"] == Node("sub", ("sub_1", "mul_1"))
    assert structure.nodes["sub_1"] == Node("sub", ("x", "h"))
    nested = parse_equations("h' = x - (h - x)")
    assert nested.nodes[nested.new_states["h"]].operands == ("x", "sub_1")


@pytest.mark.parametrize(
    ("written", "scale", "shift"),
    [
        ("1 - x", -1, 1),
        ("2 * (x + 1)", 2, 2),
        ("2 * 3 * x", 6, 0),
        ("x * 2 * 3", 6, 0),
        ("2 * x * 3 + 1 - 5", 6, -4),
        ("(1 + 1) * x", 2, 0),
        ("-(2 - x)", 1, -2),
        ("--2 * x", 2, 0),
        ("- (0.5 * -x)", 0.5, 0),
        ("1 - (1 - 3 * x)", 3, 0),
        ("1 + 2 - x", -1, 3),
        ("0 - x", -1, 0),
    ],
)
def test_numbers_around_one_value_are_one_node(written, scale, shift):
    structure = parse_equations(f"h' = {written}")
    assert structure.nodes == {"affine_1": Node("affine", ("x",), scale=scale, shift=shift)}
    # a minus zero would be another text
    assert "-0.0" not in repr(structure)


@pytest.mark.parametrize("written", ["1 - (1 - x)", "x + 0", "1 * x", "--x", "2 * (0.5 * x)", "(x + 3) - 3", "-(-x)"])
def test_numbers_that_change_nothing_make_no_node(written):
    assert parse_equations(f"h' = {written}") == Structure(("h",), {}, {"h": "x"})
    assert parse_equations(f"q = {written}\nh' = tanh(q)").nodes == {"tanh_1": Node("tanh", ("x",))}


def test_a_line_of_its_own_keeps_two_nodes_with_numbers_apart():
    nodes = {
        "affine_1": Node("affine", ("x",), scale=2.0, shift=1.0),
        "affine_2": Node("affine", ("affine_1",), scale=-1.0, shift=1.0),
    }
    structure = Structure(("h",), nodes, {"h": "affine_2"})
    assert format_equations(structure) == "g1 = 2 * x + 1\nh' = 1 - g1\n"
    assert_same_up_to_names(parse_equations(format_equations(structure)), structure)


def test_a_node_whose_numbers_change_nothing_is_written_as_its_operand():
    nodes = {
        "tanh_1": Node("tanh", ("x",)),
        "affine_1": Node("affine", ("tanh_1",)),
        "q": Node("affine", ("affine_1",)),
    }
    text = format_equations(Structure(("h",), nodes, {"h": "q"}))
    assert_same_up_to_names(parse_equations(text), parse_equations("h' = tanh(x)"))


def test_a_number_in_a_sum_of_values_stays_with_the_value_beside_it():
    structure = parse_equations("h' = x + (h + 1)")
    assert structure.nodes["add_1"] == Node("add", ("x", "affine_1"))
    structure = parse_equations("h' = x + h + 1")
    assert structure.nodes["affine_1"] == Node("affine", ("add_1",), shift=1.0)
    structure = parse_equations("h' = 2 * x * h")
    assert structure.nodes["mul_1"] == Node("mul", ("affine_1", "h"))


def test_peephole_keywords():
    structure = parse_equations("h' = peephole(h, diagonal=-1, name=w) + peephole(x)")
    assert structure.nodes["peephole_1"] == Node("peephole", ("h",), -1.0, weights="w")
    assert structure.nodes["peephole_2"] == Node("peephole", ("x",))


def test_numbers_stand_as_keywords():
    node = parse_equations("h' = linear(x + h, diagonal=1.1, bias_init=-2e-1)").nodes["linear_1"]
    assert (node.diagonal, node.bias, node.bias_init) == (1.1, True, -0.2)


def test_states_come_with_their_primes():
    text = "c' = c * x\nd' = d + c'\nh' = tanh(c') * d'\n"
    structure = parse_equations(text)
    assert structure.states == ("h", "c", "d")
    assert structure.nodes[structure.new_states["d"]].operands == ("d", structure.new_states["c"])
    assert parse_equations(text + "states: d, h, c").states == ("d", "h", "c")
    assert format_equations(parse_equations(text + "states: d, h, c")).endswith("states: d, h, c\n")
    assert "states:" not in format_equations(structure)


def test_names_may_stand_for_the_same_value():
    structure = parse_equations("a = tanh(x + h)\nb = a\nc' = b\nh' = a * c\n")
    assert structure.new_states["c"] == "a"
    assert parse_equations("h' = x").new_states == {"h": "x"}
    assert parse_equations("h' = h").nodes == {}


def test_a_node_takes_the_name_of_its_line_even_beside_machine_names():
    structure = parse_equations("tanh_1 = tanh(x)\nh' = tanh(tanh_1 * h) + tanh(h)")
    assert structure.nodes["tanh_1"] == Node("tanh", ("x",))
    assert sorted(structure.nodes) == ["add_1", "mul_1", "tanh_1", "tanh_2", "tanh_3"]


@pytest.mark.parametrize("name", zoo_names())
def test_zoo_is_printed_as_it_was_written(name):
    cell = zoo_cell(name)
    assert parse_equations(cell.equations()) == cell.structure
    anonymous = renamed(cell.structure, random.Random(1))
    assert_same_up_to_names(parse_equations(format_equations(anonymous)), anonymous)


def test_printed_gates_look_like_a_textbook():
    nodes = zoo_cell("gru").nodes
    new = {name: f"{node.primitive}_{number}" for number, (name, node) in enumerate(nodes.items())}
    structure = Structure(
        ("h",),
        {
            new[name]: Node(node.primitive, tuple(new.get(o, o) for o in node.operands), bias=node.bias)
            for name, node in nodes.items()
        },
        {"h": new["add_4"]},
    )
    assert format_equations(structure).splitlines() == [
        "g1 = sigmoid(linear(x, h))",
        "g2 = sigmoid(linear(x, h))",
        "g3 = tanh(linear(x, g1 * h))",
        "h' = g3 + g2 * (h - g3)",
    ]


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("linear(x) + linear(h, bias=no)", "linear(x, h)"),
        ("linear(x) + linear(h)", "linear(x) + linear(h)"),
        ("linear(x, bias=no) + linear(h)", "linear(x, bias=no) + linear(h)"),
        ("linear(x, h) + linear(h * x, bias=no)", "linear(x, h, h * x)"),
        ("linear(x) + (linear(h, bias=no) + linear(h * x, bias=no))", "linear(x) + linear(h, h * x, bias=no)"),
        ("linear(x) + linear(h, bias=no, diagonal=1)", "linear(x) + linear(h, diagonal=1, bias=no)"),
        ("linear(x, name=w_1) + linear(h, bias=no, name=w_2)", "linear(x, h, name=w)"),
        ("linear(x, name=w_2) + linear(h, bias=no, name=w_1)", "linear(x, name=w_2) + linear(h, bias=no, name=w_1)"),
        ("linear(x, name=w_1) + linear(h, bias=no)", "linear(x, name=w_1) + linear(h, bias=no)"),
        ("linear(x, name=_1) + linear(h, bias=no, name=_2)", "linear(x, name=_1) + linear(h, bias=no, name=_2)"),
        ("((x - h) - (x * h)) + x", "x - h - x * h + x"),
        ("x - (h - x)", "x - (h - x)"),
        ("x + (h + x)", "x + (h + x)"),
        ("x * (h * x)", "x * (h * x)"),
        ("(x + h) * x", "(x + h) * x"),
        ("((((tanh(x)))))", "tanh(x)"),
        ("(1 - x) * h", "(1 - x) * h"),
        ("1 - x * h", "1 - x * h"),
        ("1 - (x + h)", "1 - (x + h)"),
        ("1 - 2 * x", "1 - 2 * x"),
        ("1 - 2 * (x * h)", "1 - 2 * (x * h)"),
        ("1 - 2 * x * h", "1 - 2 * x * h"),
        ("x * h * 0.5", "0.5 * (x * h)"),
        ("0.5 * (x + h)", "0.5 * (x + h)"),
        ("0.5 * x + h", "0.5 * x + h"),
        ("h + (x + h + 2)", "h + (x + h + 2)"),
        ("2 * (x - 3) + 1", "2 * x - 5"),
        ("-1e-3 * x - 2.50", "-0.001 * x - 2.5"),
        ("-x", "-x"),
        ("-(x + h)", "-(x + h)"),
        ("-(x * h)", "-(x * h)"),
        ("-x * h", "(-x) * h"),
        ("-x + h", "-x + h"),
        ("h - -x", "h - (-x)"),
        ("h + -2 * x", "h + (-2 * x)"),
        ("-x - 1", "-x - 1"),
        ("tanh(x) - 1", "tanh(x) - 1"),
        ("1 + tanh(x)", "tanh(x) + 1"),
        ("tanh(-x)", "tanh(-x)"),
        ("2 * linear(x, h)", "2 * linear(x, h)"),
        ("x * (1 - linear(h))", "x * (1 - linear(h))"),
        ("linear(x, 1 - h)", "linear(x, 1 - h)"),
        ("leaky_relu(x)", "leaky_relu(x)"),
        ("peephole(x, name=w, diagonal=1)", "peephole(x, diagonal=1, name=w)"),
    ],
)
def test_printed_as_short_as_the_same_graph_allows(written, printed):
    structure = parse_equations(f"h' = {written}")
    assert format_equations(structure) == f"h' = {printed}\n"
    assert_same_up_to_names(parse_equations(f"h' = {printed}"), structure)


@given(st.integers(0, 10**9), st.integers(1, 40), st.integers(1, 4), st.booleans())
def test_round_trip(seed, num_nodes, num_states, all_primitives):
    rng = random.Random(seed)
    structure = renamed(random_structure(rng, num_nodes, num_states, all_primitives=all_primitives), rng)
    text = format_equations(structure)
    back = parse_equations(text)
    assert_same_up_to_names(structure, back)
    assert not find_violations(back.to_networkx())
    assert format_equations(back) == text


@given(st.integers(0, 10**9), st.integers(1, 30), st.integers(1, 3), st.booleans())
def test_round_trip_keeps_the_digest(seed, num_nodes, num_states, all_primitives):
    structure = random_structure(random.Random(seed), num_nodes, num_states, all_primitives=all_primitives)
    back = parse_equations(format_equations(structure))
    assert canonicalize(back).digest == canonicalize(structure).digest


def test_the_walk_can_tell_cells_apart():
    shared = parse_equations("a = linear(x)\nh' = a + a * h")
    for other in (
        "h' = linear(x) + linear(x) * h",
        "a = linear(x)\nh' = a * h + a",
        "a = linear(x, diagonal=1)\nh' = a + a * h",
        "a = linear(x, bias=no)\nh' = a + a * h",
        "a = linear(x, name=w)\nh' = a + a * h",
        "a = linear(h)\nh' = a + a * x",
    ):
        with pytest.raises(AssertionError):
            assert_same_up_to_names(shared, parse_equations(other))


def test_long_chains_and_deep_nesting_are_read_and_printed():
    """No recursion limit in the way: 1,500 nodes in a row, and parentheses up to the stated limit."""
    chain = Structure(
        ("h",), {f"tanh_{i}": Node("tanh", (f"tanh_{i - 1}" if i else "h",)) for i in range(1500)}, {"h": "tanh_1499"}
    )
    assert_same_up_to_names(parse_equations(format_equations(chain)), chain)
    total = parse_equations("h' = " + " + ".join(["x"] * 1500))
    assert_same_up_to_names(parse_equations(format_equations(total)), total)
    depth = MAX_NESTING - 1
    assert len(parse_equations("h' = " + "tanh(" * depth + "h" + ")" * depth).nodes) == depth
    assert "nested deeper than 100" in mistakes("h' = " + "(" * 50_000)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h' = tanh(hh)", "line 1, column 11: unknown name 'hh'. Did you mean 'h'?"),
        ("h' = sigm(h)", "column 6: unknown function 'sigm'. Write 'sigmoid'."),
        ("h' = tahn(h)", "unknown function 'tahn'. Did you mean 'tanh'?"),
        ("h' = 0.5", "column 6: a value belongs here, not a number alone"),
        ("h' = x + tanh(2)", "column 15: a value belongs here"),
        ("h' = linear(x, 1)", "column 16: a value belongs here"),
        ("h' = 1 + 1", "column 6: a value belongs here"),
        ("h' = tanh(x) * (1 - 1)", "column 17: a value belongs here: times 0"),
        ("h' = 0 * x", "column 6: a value belongs here: times 0"),
        ("h' = x * 2 * 0", "column 14: a value belongs here: times 0"),
        ("h' = x * 1e-300 * 1e-300", "column 19: a value belongs here: times 0"),
        ("h' = x + 2000000", "column 10: expected a number of at most 1e+06 in size, got 2000000."),
        ("h' = x * 10000 * 10000", "column 18: expected a number of at most 1e+06 in size, got 100000000."),
        ("h' = 1e6 + x + 1", "column 16: expected a number of at most 1e+06 in size, got 1000001."),
        ("h' = x * 1e999", "column 10: expected a number of at most"),
        ("h' = - + x", "column 8: expected a value (a name, a number, a function or a parenthesis), got '+'"),
        ("h' = -", "column 7: expected a value"),
        ("h' = affine(x, scale=2)", "column 6: 'affine' is written with numbers: 2 * a + 1, 1 - a."),
        ("h' = affine(x)", "column 6: 'affine' is written with numbers"),
        ("h' = affine", "column 6: 'affine' is written with numbers"),
        ("h' = sigm(x, slope=2)", "column 6: unknown function 'sigm'. Write 'sigmoid'."),
        ("h' = peephole(x, bias=no)", "column 18: 'peephole' has no bias: that of the linear beside it"),
        ("h' = peephole(x, bias_init=1)", "column 18: 'peephole' has no bias"),
        ("h' = peephole(x, diagnal=1)", "unknown keyword 'diagnal'. Did you mean 'diagonal'?"),
        ("h' = peephole(x, h)", "'peephole' takes 1 operand, got 2"),
        ("h' = peephole(x, name=w) + linear(h, name=w)", "2 weights have the name 'w'"),
        ("h' = x ** h", "There are no powers"),
        ("h' = x / h", "column 8: '/' is not known"),
        ("h' = x h", "column 8: expected an operator (+ - *) or the end of the line, got 'h'. For a product"),
        ("h' = add(x, h)", "'add' is written with an operator: a + b."),
        ("h' = x + tanh", "'tanh' is a function and takes an operand"),
        ("n = h\nh' = n(x)", "'n' is a value, no function"),
        ("h' = tanh(x, h)", "'tanh' takes 1 operand, got 2"),
        ("h' = tanh(x, bias=no)", "'tanh' takes no keywords"),
        ("h' = linear()", "'linear' takes at least 1 operand, got 0"),
        ("h' = linear(x, bais=no)", "unknown keyword 'bais'. Did you mean 'bias'?"),
        ("h' = linear(x, bias=0)", "bias: expected yes or no, got '0'"),
        ("h' = linear(x, bias=no, bias=no)", "'bias' is given twice"),
        ("h' = linear(x, bias=no, h)", "operands stand before keywords"),
        ("h' = linear(x, bias=no, bias_init=1)", "bias_init without a bias"),
        ("h' = linear(x, diagonal=h)", "diagonal: expected a number such as 0.9, got 'h'"),
        ("h' = linear(x, diagonal=1e999)", "diagonal: expected a number of at most"),
        ("h' = linear(x, h, diagonal=1)", "diagonal belongs to one matrix"),
        ("h' = linear(x, name=tanh)", "name: 'tanh' is the name of a primitive"),
        ("h' = linear(x, name=w) + linear(h, name=w)", "2 weights have the name 'w'"),
        ("h' = (x + h", "expected ')' for the '(' in column 6, got the end of the line"),
        ("h' = x)", "this ')' closes nothing"),
        ("h' = x = h", "a second '='"),
        ("h' = ", "expected a value"),
        ("h'", "expected '=' behind h'"),
        ("3 = x", "expected a name to define, got '3'"),
        ("h' = h''", "a prime stands directly behind a state's name, once"),
        ("n = x", "equations: nothing defines h'"),
        ("", "equations: nothing defines h'"),
        (
            "h = tanh(x)",
            "equations: nothing defines h', the output. Add a line \"h' = …\", or write h' for h on line 1.",
        ),
        ("h' = σ(x)", "column 6: 'σ' is not known here. Write sigmoid(…).\n    h' = σ(x)\n         ^"),
        ("h' = x × h", "column 8: '×' is not known here. Write '*'."),
        ("h' = x ⊙ h", "column 8: '⊙' is not known here. Write '*'."),
        ("h' = x · h", "column 8: '·' is not known here. Write '*'."),
        ("h' = x − h", "column 8: '−' is not known here. Write '-'."),
        ("h' = é + 中 + א", "column 6: 'é' is not known here. Equations use"),
        ("h' = é + 中 + א", "    h' = é + ? + ?\n         ^"),
        ("h' = 中", "column 6: '\\u4e2d' is not known here."),
        ("h' = tanh(W_z*x)", "column 11: unknown name 'W_z'. Known here: h, x. If it is a state,"),
        ("h' = tanh(W_z*x)", "If it is a matrix, write linear(x)."),
        ("h' = x\nx = h", "'x' is the input"),
        ("h' = x\ntanh = h", "'tanh' is a function and cannot be a name"),
        ("h' = x\nh = x", "'h' is a state: its next value is h'"),
        ("h' = x\nh' = h", "line 2, column 1: 'h'' is defined twice, first on line 1"),
        ("n = x\nh' = h", "'n' reaches no new state"),
        ("a = tanh(a)\nh' = a", "'a' is used in its own definition"),
        ("h' = tanh(h')", "h' is used in its own definition. The old value is h."),
        ("h' = n\nn = x", "'n' is used before line 2 defines it"),
        ("h' = tanh(c') + x\nc' = c + x", "c' is used before line 2 defines it. Move that line up, or read the old"),
        ("h' = x + c'", "nothing defines c'"),
        ("h' = x\nstates: h, c", "line 2, column 12: 'c' is no state"),
        ("h' = x\nc' = x\nstates: h", "the list lacks c"),
        ("h' = x\nstates: h, h", "'h' is listed twice"),
        ("h' = x\nstates: h\nstates: h", "the states are listed twice, first on line 2"),
        ("h' = x\nstates: h c", "expected state names with commas"),
        (f"{'n' * 65} = x\nh' = {'n' * 65}", "a name has at most 64 characters, this one has 65"),
        ("h' = x" + " " * MAX_TEXT, "expected at most 200,000 characters"),
    ],
)
def test_mistakes_teach(text, expected):
    found = "\n".join(mistakes(text))
    assert expected in found


@pytest.mark.parametrize("prime", "’‘′´`")
def test_a_typographic_quote_is_one_mistake_and_read_as_a_prime(prime):
    (message,) = mistakes(f"c' = tanh(linear(x, c))  # Cho’s\nh{prime} = c' * tanh(linear(x, h))")
    line = f"    h{prime} = c' * tanh(linear(x, h))\n     ^"
    assert message == f"line 2, column 2: '{prime}' is no prime. Write h' with a plain apostrophe.\n{line}"
    assert parse_equations("h' = tanh(x)  # Cho’s").states == ("h",)


def test_a_missing_output_is_said_first_and_once():
    found = mistakes("z = sigmoid(linear(x, h))\nc' = z * h + q")
    assert [message.partition(",")[0] for message in found] == ["equations: nothing defines h'", "line 2"]
    assert [message.partition(".")[0] for message in mistakes("h' : tanh(h)\nc' = tanh(h)")] == [
        "line 1, column 4: expected '=' behind h', got ':'"
    ]
    flood = mistakes("\n".join(f"a{i} + b" for i in range(30)) + "\nh' = x")
    assert not any("nothing defines h'" in message for message in flood), "the line of h' was not looked for"


def test_a_mistake_shows_its_place():
    (message,) = mistakes("r = sigmoid(linear(x, h))\nh' = tanh(linear(x, r * hh))")
    first, line, caret = message.splitlines()
    assert first.startswith("line 2, column 25: unknown name 'hh'.")
    assert line[caret.index("^") :] == "hh))"


def test_a_caret_finds_its_place_in_a_huge_line():
    (message,) = mistakes("h' = " + "x + " * 2000 + "hh" + " + x" * 2000)
    _, line, caret = message.splitlines()
    assert len(line) < 120
    assert line[caret.index("^") :].startswith("hh + x")


def test_all_mistakes_are_listed_at_once_and_none_for_a_line_that_only_reads_a_broken_one():
    found = mistakes("a = tanh(q) + sigm(x)\nb = a * a\nc = (b\nh' = a + b + c + d")
    assert [message.partition(":")[0] for message in found] == [
        "line 1, column 10",
        "line 1, column 15",
        "line 3, column 7",
        "line 4, column 18",
    ]


def test_a_flood_of_mistakes_is_cut_and_quick():
    start = time.process_time()
    found = mistakes("\n".join(f"a{i} = b{i} + c{i}" for i in range(9000)))
    assert len(found) == 21
    assert "only the first 20" in found[-1]
    assert len(mistakes("h' = " + " + ".join(f"q{i}" for i in range(20_000)))) == 21
    assert time.process_time() - start < 5


@given(st.text(st.sampled_from("hcxn'=+-*(),:# \n\t10.e_tanh linear states\r\x00é\u2028"), max_size=80))
def test_any_text_gives_a_cell_or_the_one_error(text):
    with contextlib.suppress(InvalidGraphError):
        assert not find_violations(parse_equations(text).to_networkx())


@given(st.integers(0, 10**9), st.integers(0, 400), st.sampled_from("()+-*=,'hx1 \n#"))
def test_one_changed_character_gives_a_cell_or_the_one_error(seed, position, character):
    text = zoo_cell(random.Random(seed).choice(zoo_names())).equations()
    text = text[:position] + character + text[position + 1 :]
    with contextlib.suppress(InvalidGraphError):
        assert not find_violations(parse_equations(text).to_networkx())


def test_weights_called_linear_1_and_linear_2_are_not_joined_under_a_name_that_cannot_be():
    nodes = {
        "a": Node("linear", ("x",), weights="linear_1"),
        "b": Node("linear", ("h",), bias=False, weights="linear_2"),
    }
    structure = Structure(("h",), nodes | {"s": Node("add", ("a", "b"))}, {"h": "s"})
    text = format_equations(structure)
    assert {node.weights for node in parse_equations(text).nodes.values() if node.weights} == {"linear_1", "linear_2"}


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("h' = \u0663 * x", 6, "'\u0663' is not known here"),
        (
            f"h' = linear(x, h, name={'a' * 63})",
            24,
            "name: each operand has its own number.* 65 characters: at most 64",
        ),
        ("h' = linear(x, name=tanh)", 21, "name: 'tanh' is the name of a primitive"),
        ("h' = peephole(x, name=mul)", 23, "name: 'mul' is the name of a primitive"),
    ],
)
def test_numbers_and_names_that_no_cell_can_have_are_shown_where_they_stand(line, place, message):
    with pytest.raises(InvalidGraphError, match=f"^line 1, column {place}: {message}"):
        parse_equations(line)


def test_the_longest_names_of_weights_leave_room_for_their_numbers():
    nodes = parse_equations(f"h' = linear(x, h, name={'a' * 62})").nodes.values()
    assert sorted(len(node.weights) for node in nodes) == [0, 64, 64]


@pytest.mark.parametrize("number", ["1_0", "\u0663", "nan", "", "1e", "--1"])
def test_first_values_of_biases_are_numbers_as_equations_have_them(number):
    assert split_reference("lstm_torch:forget=-1.5e-2,input=+.5")[1] == {"forget": -0.015, "input": 0.5}
    with pytest.raises(ConfigError, match="is no number"):
        split_reference(f"lstm_torch:forget={number}")


def test_weights_named_like_a_primitive_are_told_so():
    nodes = {"a": Node("linear", ("x",), weights="tanh")}
    violations = find_violations(Structure(("h",), nodes, {"h": "a"}).to_networkx())
    assert violations == ("node 'a': weights: 'tanh' is the name of a primitive. Choose another.",)
