"""The digest knows a cell with numbers, peepholes and leaky rectifiers under every spelling."""

import hashlib
import random
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from shared_cells import random_structure
from shared_evaluation import error_of, surely_differ
from shared_full_cells import full_structure
from shared_near_misses import near_misses
from shared_respelling import respell, respell_with_account

from archsearch.graph.canonical import Canonical, canonicalize
from archsearch.graph.catalog import zoo_cell, zoo_names
from archsearch.graph.checks import MAX_CONSTANT, find_violations
from archsearch.graph.equations import parse_equations
from archsearch.graph.files import structure_to_json
from archsearch.graph.formatting import format_equations
from archsearch.graph.structure import Node, Structure

GATES = "z = sigmoid(linear(x, h))\nn = tanh(linear(x, h))\n"
# taken before numbers were known: name of the cell, digest, hash of the canonical graph
DIGESTS = Path(__file__).with_name("digests.txt")


def form(canonical: Canonical) -> tuple[str, Structure, list[str]]:
    return canonical.digest, canonical.structure, list(canonical.structure.nodes)


def canonical_of(expression: str) -> Canonical:
    used = {
        name: line for name, line in zip("zn", GATES.splitlines(), strict=True) if re.search(rf"\b{name}\b", expression)
    }
    return canonicalize(parse_equations("\n".join([*used.values(), f"h' = {expression}"])))


def digests_of(*expressions: str) -> set[str]:
    return {canonical_of(expression).digest for expression in expressions}


def random_cells(num_cells: int) -> list[tuple[Structure, random.Random]]:
    generators = [random.Random(f"with numbers {index}") for index in range(num_cells)]
    return [
        (random_structure(rng, rng.randint(5, 40), rng.randint(1, 4), all_primitives=True), rng) for rng in generators
    ]


def test_cells_without_numbers_keep_their_digests_and_canonical_graphs():
    """Else every stored search would be another one."""
    cells = {name: zoo_cell(name).structure for name in zoo_names()}
    for draw in (random_structure, full_structure):
        for index in range(150):
            rng = random.Random(f"{draw.__name__} {index}")
            cells[f"{draw.__name__}_{index}"] = draw(rng, rng.randint(5, 60), rng.randint(1, 4))
    lines = DIGESTS.read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 312
    for name, digest, graph in map(str.split, lines):
        canonical = canonicalize(cells[name])
        assert canonical.digest == digest, name
        assert hashlib.sha256(structure_to_json(canonical.structure).encode()).hexdigest()[:16] == graph, name


def test_random_cells_keep_their_form_however_they_are_spelt():
    num_compared = 0
    for structure, rng in random_cells(400):
        original = canonicalize(structure)
        if original.is_exact:
            assert form(canonicalize(respell(structure, rng))) == form(original)
            num_compared += 1
    assert num_compared >= 360


def test_respellings_compute_what_the_cell_does():
    """Else the test above would prove little."""
    for structure, rng in random_cells(200):
        assert error_of(structure, respell_with_account(structure, rng), rng) < 1e-11


def test_canonical_graphs_are_valid_compute_what_the_cells_did_and_are_their_own_form():
    forms: dict[str, Structure] = {}
    for structure, rng in random_cells(400):
        canonical = canonicalize(structure)
        assert not find_violations(canonical.structure.to_networkx())
        assert error_of(structure, canonical, rng) < 1e-12
        again = canonicalize(canonical.structure)
        assert form(again) == form(canonical)
        assert all(new == old for new, old in again.matrices.items())
        # equal digests, equal cells
        assert forms.setdefault(canonical.digest, canonical.structure) == canonical.structure
        back = parse_equations(format_equations(canonical.structure))
        assert canonicalize(back).digest == canonical.digest


def test_near_misses_have_another_digest():
    compared: Counter[str] = Counter()
    for structure, rng in random_cells(150):
        digest = canonicalize(structure).digest
        for kind, near_miss in near_misses(structure, rng):
            if surely_differ(structure, near_miss, rng):
                assert canonicalize(near_miss).digest != digest, kind
                compared[kind] += 1
    new = ("_change_scale", "_turn_scale", "_change_shift", "_change_peephole", "_peephole_made_a_matrix")
    assert min(compared[kind] for kind in (*new, "_change_activation")) >= 20


@pytest.mark.parametrize(
    "spellings",
    [
        ("(1 - z) * n + z * h", "n + z * (h - n)", "n - z * n + z * h", "-(z - 1) * n - z * -h"),
        ("0.5 * (x + h)", "0.5 * x + 0.5 * h", "0.25 * (2 * x + 2 * h)", "x + h - 0.5 * (h + x)"),
        ("1 - (1 - z)", "z", "2 * z - z", "0.5 * z + 0.5 * z", "--z"),
        ("-z", "z - z - z", "z - 2 * z"),
        ("3 * z", "z + z + z", "1.5 * (z + z)"),
        ("(x + 1) * (h - 1)", "x * h - x + h - 1", "(1 + x) * h - (x + 1)"),
        ("(2 * x) * (0.5 * h)", "x * h"),
        ("tanh(1 - z) * (1 - z)", "(1 - z) * tanh(1 - (2 * z - z))"),
        ("tanh(h - h + 0.5) * x", "tanh(x - (x - 0.5)) * x"),
        ("linear(x, h) + peephole(h)", "linear(x) + (peephole(h) + linear(h, bias=no))"),
        ("leaky_relu(x) + leaky_relu(x) * h", "(1 + h) * leaky_relu(x)"),
        ("0.125 * z * (0.1 * n)", "0.1 * (n * (0.125 * z))"),
    ],
)
def test_every_spelling_is_one_cell(spellings):
    assert len(digests_of(*spellings)) == 1


@pytest.mark.parametrize(
    "cells",
    [
        (
            "linear(h, bias=no) + x",
            "peephole(h) + x",
            "peephole(h, diagonal=1) + x",
            "linear(h, diagonal=1, bias=no) + x",
        ),
        ("relu(x) + h", "leaky_relu(x) + h"),
        ("tanh(x) + 1", "tanh(x) - 1", "tanh(x)", "tanh(x) + 1.5", "2 * tanh(x) + 1", "-tanh(x) + 1"),
        ("peephole(h) + peephole(h)", "2 * peephole(h)", "peephole(h)"),
        # a constant is not learned, so it is not a bias that starts there
        ("linear(x, h, bias_init=1)", "linear(x, h) + 1", "linear(x, h, bias=no) + 1"),
        # the nearest numbers that differ at all
        ("0.1 * x", "0.10000000000000002 * x"),
        ("1e-300 * x + h", "2e-300 * x + h"),
    ],
)
def test_neighbours_are_different_cells(cells):
    assert len(digests_of(*cells)) == len(cells)


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("1 - z", "1 - g1"),
        ("(1 - z) * n + z * h", "g2 + g1 * (h - g2)"),
        ("0.5 * x + 0.5 * h", "0.5 * (x + h)"),
        ("0.5 * x - 0.5 * h - 1", "0.5 * (x - h) - 1"),
        ("-0.5 * x - 0.5 * h", "-0.5 * (x + h)"),
        ("h + 0.5 * x", "0.5 * x + h"),
        ("3 - 2 * x - 2 * h", "3 - 2 * (x + h)"),
        ("x * h * 0.5 + 0.75 * x * tanh(x)", "0.25 * (x * (h + h + (g1 + g1 + g1)))"),
        ("tanh(h - h + 2) + x", "x + tanh(h - h + 2)"),
        ("-x", "x - x - x"),
        ("peephole(h, diagonal=-0.0) + x", "x + peephole(h)"),
    ],
)
def test_what_is_written_is_short(written, printed):
    text = format_equations(canonical_of(written).structure).splitlines()
    assert text[-1] == f"h' = {printed}"


def test_numbers_are_never_rounded():
    """0.1 * 0.1 and 0.1 + 0.2 are no numbers of floating point: then what is written stays as it is."""
    product = parse_equations("q = 0.1 * x\nh' = tanh(0.1 * q + h)")
    total = parse_equations("h' = tanh(0.1 * x + 0.2 * x + h)")
    constants = parse_equations("z = x - x + 1\nq = 0.1 * z + 0.2\nh' = tanh(linear(x, h)) + linear(q)")
    beyond = parse_equations(f"q = {MAX_CONSTANT:g} * x + 1\nh' = tanh(1.5 * q + h)\nc' = 1.3 * (q * q)")
    for structure in (product, total, constants, beyond):
        canonical = canonicalize(structure)
        assert not canonical.is_exact
        assert form(canonicalize(canonical.structure)) == form(canonical)
        assert not find_violations(canonical.structure.to_networkx())
        assert error_of(structure, canonical, random.Random(0)) < 1e-12
    affines = [node for node in canonicalize(constants).structure.nodes.values() if node.primitive == "affine"]
    assert {(node.scale, node.shift) for node in affines} == {(1.0, 1.0), (0.1, 0.2)}
    rounded = parse_equations("h' = tanh(0.010000000000000002 * x + h)")
    assert Fraction(0.1) * Fraction(0.1) != Fraction(0.010000000000000002)
    assert canonicalize(rounded).digest != canonicalize(product).digest


def test_forms_that_lead_to_one_another_in_a_circle_are_one():
    """Seldom enough: the only one among a thousand random cells."""
    rng = random.Random("probe 130")
    structure = random_structure(rng, rng.randint(5, 40), rng.randint(1, 4), all_primitives=True)
    canonical = canonicalize(structure)
    assert not canonical.is_exact
    assert form(canonicalize(canonical.structure)) == form(canonical)
    assert error_of(structure, canonical, rng) < 1e-12


def test_numbers_that_come_and_go_do_no_harm():
    plain, detour = "tanh(0.3 * x + h)", "tanh((0.1 * h + 0.2 * h) + 0.3 * x - (0.2 * h + 0.1 * h) + h)"
    assert canonical_of(plain).is_exact
    assert form(canonical_of(detour)) == form(canonical_of(plain))


def test_whole_numbers_too_large_for_a_node_are_added_up():
    line = f"q = {MAX_CONSTANT:g} * x\n"
    canonical = canonicalize(parse_equations(f"{line}h' = 3 * q + tanh(h)"))
    assert canonical.is_exact
    assert not find_violations(canonical.structure.to_networkx())
    assert error_of(parse_equations(f"{line}h' = 3 * q + tanh(h)"), canonical, random.Random(0)) < 1e-12
    shifted = canonicalize(parse_equations(f"q = x + {MAX_CONSTANT:g}\nh' = q + 1 + tanh(h)"))
    assert not shifted.is_exact
    assert not find_violations(shifted.structure.to_networkx())


def test_chains_of_numbers_stay_quick():
    """Each squares the last: exact numbers of a million digits otherwise."""
    nodes = {"n0": Node("affine", ("x",), scale=0.1, shift=0.7)}
    for i in range(60):
        nodes[f"a{i}"] = Node("affine", (f"n{i}",), scale=0.3)
        nodes[f"b{i}"] = Node("affine", (f"n{i}",), scale=0.7)
        nodes[f"n{i + 1}"] = Node("mul", (f"a{i}", f"b{i}"))
    canonical = canonicalize(Structure(("h",), nodes, {"h": "n60"}))
    assert not canonical.is_exact
    nodes = {"n0": Node("affine", ("x",), scale=0.5)}
    for i in range(60):
        nodes[f"a{i}"] = Node("affine", (f"n{i}",), scale=0.5)
        nodes[f"n{i + 1}"] = Node("mul", (f"a{i}", f"n{i}"))
    canonicalize(Structure(("h",), nodes, {"h": "n60"}))


def test_constants_alone_are_written():
    structure = parse_equations("z = x - x\nq = z + 0.5\nh' = tanh(q) * linear(q) + linear(z + 2) * h")
    canonical = canonicalize(structure)
    assert error_of(structure, canonical, random.Random(0)) < 1e-12
    assert form(canonicalize(canonical.structure)) == form(canonical)


def test_peepholes_are_never_shared_and_keep_their_names():
    structure = parse_equations("a = peephole(h, diagonal=1, name=w)\nb = peephole(h)\nh' = x + tanh(a) + a * b")
    canonical = canonicalize(structure)
    [name] = [name for name, node in canonical.structure.nodes.items() if node.weights == "w"]
    assert canonical.structure.nodes[name] == Node("peephole", ("h",), 1.0, weights="w")
    assert sorted(canonical.matrices.values()) == ["a", "b"]
    assert canonical.biases == {}


@pytest.mark.parametrize(
    ("expression", "num_nodes"),
    [
        ("tanh(1000000 * x)", 2),
        ("100 * h + x", 2),
        ("4 * x", 2),
        ("5 * x", 1),
        ("1000000 * x + 1000000 * x + 1000000 * x + x", 4),
    ],
)
def test_whole_factors_take_few_nodes(expression, num_nodes):
    structure = parse_equations(f"h' = {expression}")
    canonical = canonicalize(structure)
    assert len(canonical.structure.nodes) == num_nodes
    assert form(canonicalize(canonical.structure)) == form(canonical)
    assert error_of(structure, canonical, random.Random(0)) < 1e-12


def test_powers_of_sums_with_large_factors_stay_valid():
    structure = parse_equations("a = 1001 * x + 999 * h + 777 * tanh(x)\nh' = a * a * a * a * a * a")
    canonical = canonicalize(structure)
    assert not find_violations(canonical.structure.to_networkx())
    assert form(canonicalize(canonical.structure)) == form(canonical)
    assert error_of(structure, canonical, random.Random(0)) < 1e-12


def test_large_factors_before_numbers_that_stay_apart_are_written_as_they_were_read():
    """As additions they open the sum behind them at every step, and each form leads to another one."""
    cell = parse_equations("a = 1e-6 - 0.7 * h\nb = 1000 * a\nh' = 1000000 * b")
    canonical = canonicalize(cell)
    assert form(canonicalize(canonical.structure)) == form(canonical)
    assert error_of(cell, canonical, random.Random(0)) < 1e-12
