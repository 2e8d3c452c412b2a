"""No cell that may be written takes long to be told from others, however large or symmetrical it is."""

import random
import time

import pytest
from shared_cells import random_structure
from shared_evaluation import error_of
from shared_respelling import respell

from archsearch.graph import atoms, labelling
from archsearch.graph.canonical import canonicalize
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import Structure

# far above what they take, far below what they took
MAX_SECONDS = 10.0


def chain(line: str, length: int) -> str:
    lines = (line.format(number, number + 1) for number in range(length))
    return "\n".join(["a0 = linear(x, h)", *lines, f"h' = a{length}"])


def alike_matrices(count: int) -> str:
    lines = (f"a{number} = a{number - 1} + linear(h)" for number in range(2, count + 1))
    return "\n".join(["a1 = linear(h)", *lines, f"h' = a{count}"])


def sums_of_longer_and_longer_products(count: int) -> str:
    lines = [f"t{i} = linear(h)" for i in range(count)] + ["p1 = t0 * t1", "s1 = t0 + p1"]
    for i in range(2, count):
        lines += [f"p{i} = p{i - 1} * t{i}", f"s{i} = s{i - 1} + p{i}"]
    lines += ["q1 = tanh(s1)", *(f"q{i} = q{i - 1} + tanh(s{i})" for i in range(2, count))]
    return "\n".join([*lines, f"h' = q{count - 1}"])


def products_of_sums(count: int) -> str:
    """Each product of two sums has 256 terms, and all of them are added up."""
    lines = [f"t{i} = linear(h)" for i in range(count + 15)]
    lines += [f"u{j} = " + " + ".join(f"t{j + i}" for i in range(16)) for j in range(count)]
    products = [f"u{j} * u{k}" for j in range(count) for k in range(j)]
    lines += [f"p0 = {products[0]}", *(f"p{n} = p{n - 1} + {product}" for n, product in enumerate(products) if n)]
    return "\n".join([*lines, f"h' = p{len(products) - 1}"])


HUGE = {
    "doubling products": chain("a{1} = tanh(a{0}) * a{0} + a{0}", 660),
    "doubling products with matrices": chain("a{1} = tanh(a{0}) * a{0} + a{0} * linear(h)", 390),
    "squares": chain("a{1} = a{0} * a{0}", 1990),
    "doubles": chain("a{1} = a{0} + a{0}", 1990),
    "nothing to tell matrices by": alike_matrices(1000),
    "long products": sums_of_longer_and_longer_products(390),
    "products of sums": products_of_sums(30),
    "pairs of twins": chain("a{1} = tanh(a{0} + tanh(linear(h)) * tanh(linear(h)))", 280),
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_cells_have_a_digest_within_seconds(name: str):
    cell = CellGraph.from_equations(HUGE[name])
    start = time.process_time()
    form = cell.canonical_form
    assert time.process_time() - start < MAX_SECONDS
    assert canonicalize(form.structure).digest == form.digest


@pytest.fixture(params=["reading", "order", "choices"])
def bound_met(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lets small cells meet what else only huge ones do."""
    module, name = {
        "reading": (atoms, "MAX_READING"),
        "order": (labelling, "MAX_LABELLING"),
        "choices": (labelling, "MAX_CHOICES"),
    }[request.param]
    monkeypatch.setattr(module, name, 0)
    return request.param


def symmetrical(rng: random.Random) -> Structure:
    text = "\n".join([*(f"m{i} = linear(h)" for i in range(6)), f"h' = {' * '.join(f'm{i}' for i in range(6))} + x"])
    return respell(CellGraph.from_equations(text).structure, rng)


def test_cells_beyond_the_bounds_compute_the_same_and_keep_their_form(bound_met: str):
    inexact = 0
    for seed in range(60):
        rng = random.Random(f"{bound_met} {seed}")
        draws = (symmetrical(rng), random_structure(rng, rng.randint(5, 60), rng.randint(1, 4), all_primitives=True))
        for structure in draws:
            canonical = canonicalize(structure)
            again = canonicalize(canonical.structure)
            assert (again.digest, again.structure) == (canonical.digest, canonical.structure)
            assert error_of(structure, canonical, rng) < 1e-9
            inexact += not canonical.is_exact
    assert inexact >= 60
