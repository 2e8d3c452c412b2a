"""The digest knows a cell under every spelling, and the canonical graph computes what the cell did."""

import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from shared_cells import random_structure
from shared_evaluation import error_of, surely_differ
from shared_full_cells import full_structure
from shared_near_misses import near_misses
from shared_respelling import respell, respell_with_account

from archsearch.graph.canonical import Canonical, canonicalize
from archsearch.graph.equations import parse_equations
from archsearch.graph.structure import Node, Structure


def cell(**values: Node) -> Structure:
    """A cell of named nodes; `h` and `c` as keyword give the new states by the names of nodes `new_h`, `new_c`."""
    states = ("h", "c") if "new_c" in values else ("h",)
    return Structure(states, values, {state: f"new_{state}" for state in states})


def linear(operand: str, **attributes: float | bool) -> Node:
    return Node("linear", (operand,), **attributes)


def add(a: str, b: str) -> Node:
    return Node("add", (a, b))


def sub(a: str, b: str) -> Node:
    return Node("sub", (a, b))


def mul(a: str, b: str) -> Node:
    return Node("mul", (a, b))


def tanh(a: str) -> Node:
    return Node("tanh", (a,))


def sigmoid(a: str) -> Node:
    return Node("sigmoid", (a,))


def form(canonical: Canonical) -> tuple[str, Structure, list[str], list[str]]:
    """All that must be equal for equal cells, the order of the nodes included."""
    structure = canonical.structure
    return canonical.digest, structure, list(structure.nodes), list(structure.new_states)


def assert_one_cell(*spellings: Structure) -> None:
    forms = [form(canonicalize(spelling)) for spelling in spellings]
    assert all(other == forms[0] for other in forms)


def assert_different(*cells: Structure) -> None:
    assert len({canonicalize(structure).digest for structure in cells}) == len(cells)


def random_cells(
    num_cells: int, draw: Callable[..., Structure], max_nodes: int = 60
) -> list[tuple[Structure, random.Random]]:
    generators = [random.Random(f"{draw.__name__} {index}") for index in range(num_cells)]
    return [(draw(rng, rng.randint(5, max_nodes), rng.randint(1, 4)), rng) for rng in generators]


def gated_sum(num_gates: int) -> Structure:
    """`h' = g1 + g2 + …`, each gate `sigmoid(linear(x, h))`."""
    nodes: dict[str, Node] = {}
    total = ""
    for i in range(num_gates):
        nodes |= {f"a{i}": linear("x"), f"b{i}": linear("h", bias=False)}
        nodes |= {f"s{i}": add(f"a{i}", f"b{i}"), f"g{i}": sigmoid(f"s{i}")}
        if total:
            nodes[f"t{i}"] = add(total, f"g{i}")
        total = f"t{i}" if total else f"g{i}"
    return Structure(("h",), nodes, {"h": total})


GATES = {"zx": linear("x"), "zh": linear("h", bias=False), "z_sum": add("zx", "zh"), "z": sigmoid("z_sum")}
GATES |= {"rx": linear("x"), "rh": linear("h", bias=False), "r_sum": add("rx", "rh"), "r": sigmoid("r_sum")}
GATES |= {"reset": mul("r", "h"), "nx": linear("x"), "nh": linear("reset", bias=False)}
GATES |= {"n_sum": add("nx", "nh"), "n": tanh("n_sum")}

GRU_FORMS = {
    "n + z * (h - n)": {"d": sub("h", "n"), "p": mul("z", "d"), "new_h": add("n", "p")},
    "n - z * (n - h)": {"d": sub("n", "h"), "p": mul("z", "d"), "new_h": sub("n", "p")},
    "z * h - z * n + n": {"p": mul("z", "h"), "q": mul("z", "n"), "d": sub("p", "q"), "new_h": add("d", "n")},
    "z * h + (n - n * z)": {"p": mul("z", "h"), "q": mul("n", "z"), "d": sub("n", "q"), "new_h": add("p", "d")},
    "n - (z * n - z * h)": {"p": mul("z", "h"), "q": mul("z", "n"), "d": sub("q", "p"), "new_h": sub("n", "d")},
}
GRU = cell(**GATES, **GRU_FORMS["n + z * (h - n)"])


def lstm(memory: str) -> Structure:
    nodes: dict[str, Node] = {}
    for gate, activation in (("i", sigmoid), ("f", sigmoid), ("o", sigmoid), ("j", tanh)):
        nodes |= {f"{gate}x": linear("x"), f"{gate}h": linear("h", bias=False)}
        nodes |= {f"{gate}_sum": add(f"{gate}x", f"{gate}h"), gate: activation(f"{gate}_sum")}
    nodes |= {"kept": mul("f", memory), "new": mul("i", "j"), "memory": add("kept", "new")}
    nodes |= {"squashed": tanh("memory"), "out": mul("o", "squashed")}
    return Structure((memory, "h"), nodes, {memory: "memory", "h": "out"})


def test_random_cells_keep_their_form_however_they_are_spelt():
    num_compared = 0
    for structure, rng in random_cells(500, random_structure) + random_cells(500, full_structure):
        original = canonicalize(structure)
        if original.is_exact:
            assert form(canonicalize(respell(structure, rng))) == form(original)
            num_compared += 1
    assert num_compared >= 990


def test_few_random_cells_meet_a_bound():
    assert all(canonicalize(structure).is_exact for structure, _ in random_cells(300, random_structure))


def test_respellings_compute_what_the_cell_does():
    """Else the test above would prove little."""
    for structure, rng in random_cells(200, full_structure):
        assert error_of(structure, respell_with_account(structure, rng), rng) < 1e-11


def test_canonical_graphs_compute_what_the_cells_did():
    for structure, rng in random_cells(300, random_structure) + random_cells(300, full_structure):
        assert error_of(structure, canonicalize(structure), rng) < 1e-12


def test_canonical_form_of_a_canonical_graph_is_that_graph():
    for structure, _ in random_cells(300, full_structure):
        canonical = canonicalize(structure)
        again = canonicalize(canonical.structure)
        assert form(again) == form(canonical)
        assert all(new == old for new, old in again.matrices.items())
        assert again.biases == {name: (name, 1) for name in canonical.biases}


def test_near_misses_have_another_digest():
    compared: Counter[str] = Counter()
    for structure, rng in random_cells(120, full_structure, max_nodes=30):
        digest = canonicalize(structure).digest
        for kind, near_miss in near_misses(structure, rng):
            if surely_differ(structure, near_miss, rng):
                assert canonicalize(near_miss).digest != digest, kind
                compared[kind] += 1
    assert len(compared) >= 9
    assert min(compared.values()) >= 10


@pytest.mark.parametrize("gate_form", GRU_FORMS)
def test_every_form_of_a_gate_is_one_cell_and_comes_back_short(gate_form: str):
    structure = cell(**GATES, **GRU_FORMS[gate_form])
    assert_one_cell(structure, GRU)
    primitives = Counter(node.primitive for node in canonicalize(structure).structure.nodes.values())
    assert primitives == {"linear": 6, "add": 4, "sub": 1, "mul": 2, "sigmoid": 2, "tanh": 1}


def test_lstm_is_one_cell_whatever_its_memory_is_called():
    assert_one_cell(lstm("c"), lstm("memory_cell"))
    canonical = canonicalize(lstm("memory_cell"))
    assert canonical.structure.states == ("h", "c")
    assert canonical.states == {"h": "h", "c": "memory_cell"}


def test_two_equal_matrices_are_told_apart_by_their_use_alone():
    ab = {"a": linear("h"), "b": linear("h"), "s": add("a", "b"), "x_part": tanh("x")}
    left = cell(**ab, g=sigmoid("a"), p=mul("s", "g"), new_h=add("p", "x_part"))
    right = cell(**ab, g=sigmoid("b"), p=mul("g", "s"), new_h=add("x_part", "p"))
    assert_one_cell(left, right)


def test_bias_may_stand_with_either_matrix_of_a_sum():
    for operation in (add, sub):
        first = cell(a=linear("x"), b=linear("h", bias=False), s=operation("a", "b"), new_h=tanh("s"))
        second = cell(a=linear("x", bias=False), b=linear("h"), s=operation("a", "b"), new_h=tanh("s"))
        assert_one_cell(first, second)
        canonical = canonicalize(second)
        [(name, (original, sign))] = canonical.biases.items()
        assert canonical.structure.nodes[name].operands == ("x",)
        assert (original, sign) == ("b", 1 if operation is add else -1)


def test_bias_stands_with_the_matrix_of_x_whatever_the_diagonals():
    structure = cell(a=linear("x", bias=False, diagonal=1.0), b=linear("h"), s=add("b", "a"), new_h=tanh("s"))
    [name] = canonicalize(structure).biases
    assert canonicalize(structure).structure.nodes[name].operands == ("x",)


def test_bias_may_stand_with_either_matrix_of_a_squared_sum():
    first = cell(a=linear("x"), b=linear("h", bias=False), s=add("a", "b"), new_h=mul("s", "s"))
    second = cell(a=linear("x", bias=False), b=linear("h"), s=add("a", "b"), new_h=mul("s", "s"))
    assert_one_cell(first, second)


def test_bias_that_starts_elsewhere_changes_sign_with_its_place():
    def difference(x_bias: bool, x_init: float, h_bias: bool, h_init: float) -> Structure:
        a, b = linear("x", bias=x_bias, bias_init=x_init), linear("h", bias=h_bias, bias_init=h_init)
        return cell(a=a, b=b, s=sub("a", "b"), new_h=tanh("s"))

    assert_one_cell(difference(True, 1.0, False, 0.0), difference(False, 0.0, True, -1.0))
    assert_different(difference(True, 1.0, False, 0.0), difference(False, 0.0, True, 1.0))
    assert_one_cell(difference(True, 1.0, True, 0.0), difference(True, 0.0, True, -1.0))
    assert_different(difference(True, 0.0, True, 0.0), difference(True, 0.0, False, 0.0))


def test_place_of_a_bias_counts_where_a_matrix_is_used_elsewhere():
    def shared(x_bias: bool) -> Structure:
        a, b = linear("x", bias=x_bias), linear("h", bias=not x_bias)
        return cell(a=a, b=b, s=add("a", "b"), t=tanh("s"), g=sigmoid("a"), new_h=mul("t", "g"))

    assert_different(shared(True), shared(False))


def test_matrices_are_never_merged_but_equal_activations_are():
    twice = cell(a=linear("x"), b=linear("x"), s=add("a", "b"), g=tanh("h"), new_h=mul("s", "g"))
    once = cell(a=linear("x"), s=add("a", "a"), g=tanh("h"), new_h=mul("s", "g"))
    assert_different(twice, once)
    copied = cell(a=linear("x"), s=add("a", "a"), g=tanh("h"), f=tanh("h"), t=add("g", "f"), new_h=mul("a", "t"))
    assert_one_cell(once, copied)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("relu(relu(h))", "relu(h)"),
        ("-tanh(-h)", "tanh(h)"),
        ("relu(2 * h)", "2 * relu(h)"),
        ("linear(-h, bias=no)", "-linear(h, bias=no)"),
        ("peephole(x * h)", "x * peephole(h)"),
    ],
)
def test_what_activations_and_matrices_do_is_not_looked_into(left: str, right: str):
    """As docs/cells.md says: these compute the same, and each has a digest of its own."""
    assert_different(parse_equations(f"h' = x + {left}"), parse_equations(f"h' = x + {right}"))


def test_load_names_are_carried_along_outside_the_identity():
    named = replace(GRU, nodes={**GRU.nodes, "zx": replace(GRU.nodes["zx"], weights="update")})
    canonical = canonicalize(named)
    assert canonical.digest == canonicalize(GRU).digest
    [name] = [name for name, node in canonical.structure.nodes.items() if node.weights == "update"]
    assert canonical.matrices[name] == "zx"


def test_vanishing_and_negative_values_are_written():
    zero = cell(z=sub("x", "x"), a=linear("z"), b=linear("h"), s=sub("z", "a"), t=sub("s", "b"), new_h=tanh("t"))
    canonical = canonicalize(zero)
    assert len(canonical.matrices) == 2
    assert error_of(zero, canonical, random.Random(0)) < 1e-12
    assert form(canonicalize(canonical.structure)) == form(canonical)


def test_products_without_positive_terms_and_with_overlapping_factors_are_written():
    atoms = {"a": linear("x"), "b": tanh("h"), "d": sub("a", "b"), "dd": mul("d", "d")}
    negative = cell(**atoms, z=sub("h", "h"), n=sub("z", "dd"), new_h=sub("n", "a"))
    atoms |= {"aa": mul("a", "a"), "ab": mul("a", "b"), "bb": mul("b", "b"), "aa_ab": add("aa", "ab")}
    overlapping = cell(**atoms, new_h=add("aa_ab", "bb"))
    for structure in (negative, overlapping):
        canonical = canonicalize(structure)
        assert error_of(structure, canonical, random.Random(0)) < 1e-12
        assert form(canonicalize(canonical.structure)) == form(canonical)


def test_what_cancels_and_what_nobody_reads_goes_but_every_state_stays():
    nodes = {"a": linear("x"), "b": linear("h"), "d": sub("a", "a"), "new_h": add("b", "d"), "new_c": tanh("x")}
    canonical = canonicalize(cell(**nodes))
    assert canonical.matrices == {"linear_1": "b"}
    assert canonical.structure.states == ("h", "c")


def test_coefficients_and_powers_are_part_of_the_identity():
    summed = {"a": linear("x"), "s": add("a", "h")}
    square = cell(**summed, new_h=mul("s", "s"))
    cube = cell(**summed, p=mul("s", "s"), new_h=mul("p", "s"))
    twice = cell(**summed, new_h=add("s", "s"))
    thrice = cell(**summed, t=add("s", "s"), new_h=add("t", "s"))
    assert_different(square, cube, twice, thrice, cell(a=linear("x"), new_h=add("a", "h")))
    assert [len(canonicalize(power).structure.nodes) for power in (square, cube)] == [3, 4]


def test_sixty_nodes_take_under_five_milliseconds():
    times = []
    for structure in [full_structure(random.Random(seed), 60, 2) for seed in range(41)]:
        start = time.process_time()
        canonicalize(structure)
        times.append(time.process_time() - start)
    assert statistics.median(times) < 0.005


def ring_sum(*rings: int) -> Structure:
    """`h' = sigmoid(l1 + l2) + sigmoid(l2 + l3) + …`, the pairs of linears `l` forming closed rings."""
    nodes: dict[str, Node] = {}
    total = "h"
    for ring, length in enumerate(rings):
        nodes |= {f"l{ring}_{i}": linear("x") for i in range(length)}
        for i in range(length):
            key = f"{ring}_{i}"
            nodes |= {f"s{key}": add(f"l{key}", f"l{ring}_{(i + 1) % length}"), f"g{key}": sigmoid(f"s{key}")}
            nodes[f"t{key}"] = add(total, f"g{key}")
            total = f"t{key}"
    return Structure(("h",), nodes, {"h": total})


def test_matrices_alike_for_all_their_neighbours_are_ordered_by_the_whole():
    """Colours cannot tell a ring of six from two rings of three."""
    rings = ring_sum(6, 3, 3)
    assert_one_cell(rings, ring_sum(3, 6, 3), *(respell(rings, random.Random(seed)) for seed in range(10)))
    assert_different(rings, ring_sum(6, 6), ring_sum(12), ring_sum(5, 7), ring_sum(3, 4, 5), ring_sum(3, 3, 3, 3))
    assert all(canonicalize(ring_sum(*lengths)).is_exact for lengths in ((6, 3, 3), (6, 6), (3, 3, 3, 3)))


def test_twelve_identical_gates_take_under_fifty_milliseconds():
    structure = gated_sum(12)
    times = []
    for _ in range(5):
        start = time.process_time()
        canonicalize(structure)
        times.append(time.process_time() - start)
    assert min(times) < 0.05
    assert_one_cell(structure, *(respell(structure, random.Random(seed)) for seed in range(5)))


def test_cells_beyond_the_bounds_still_compute_the_same_and_keep_their_form():
    nodes = {"l": linear("h"), "p0": add("x", "l")}
    for i in range(8):
        nodes |= {f"q{i}": mul(f"p{i}", f"p{i}"), f"m{i}": linear("x"), f"p{i + 1}": sub(f"m{i}", f"q{i}")}
    structure = Structure(("h",), {**nodes, "out": tanh("p8")}, {"h": "out"})
    canonical = canonicalize(structure)
    assert not canonical.is_exact
    assert form(canonicalize(canonical.structure)) == form(canonical)
    assert error_of(structure, canonical, random.Random(0)) < 1e-9


def test_sign_of_a_factor_too_large_to_expand_is_kept():
    nodes = {f"l{i}": linear("x" if i % 2 else "h") for i in range(40)}
    nodes |= {"p1": add("l0", "l1"), "q1": add("l20", "l21"), "z": sub("h", "h")}
    for i in range(2, 20):
        nodes |= {f"p{i}": add(f"p{i - 1}", f"l{i}"), f"q{i}": add(f"q{i - 1}", f"l{i + 20}")}
    nodes |= {"minus": sub("z", "p19"), "out": mul("minus", "q19")}
    structure = Structure(("h",), nodes, {"h": "out"})
    canonical = canonicalize(structure)
    assert not canonical.is_exact
    assert error_of(structure, canonical, random.Random(0)) < 1e-12


DIGESTS = {"gru": "c_3cdc2cfc3bfb9f12", "lstm": "c_b8130f2ccc4cf755"}


def test_digests_do_not_change_with_the_code():
    """A change here makes every stored digest another one: raise `CANONICAL_VERSION` with it."""
    assert {"gru": canonicalize(GRU).digest, "lstm": canonicalize(lstm("c")).digest} == DIGESTS


def test_digests_do_not_depend_on_the_process():
    program = (
        "from archsearch.graph.canonical import canonicalize; from archsearch.graph.structure import Node, Structure;"
        f"print(canonicalize({GRU!r}).digest)"
    )
    for seed in ("1", "2"):
        printed = subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        assert printed.strip() == DIGESTS["gru"]
