"""No cell that may be written takes long to be told from others, however large or symmetrical it is."""

import random
import time

import pytest
from shared_cells import random_structure
from shared_evaluation import error_of
from shared_huge_cells import HUGE
from shared_respelling import respell

from archsearch.graph import atoms, labelling
from archsearch.graph.canonical import canonicalize
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import Structure

# far above what they take, far below what they took
MAX_SECONDS = 10.0


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
