"""Checks the identity of cells on many random graphs: `python benchmarks/identity.py --graphs 10000`.

Half of the graphs are drawn as the tests draw cells, half have an exact number of nodes. Each is respelt at random by
code that shares nothing with the canonical form. Exit code 1 where any promise is broken.
"""

import argparse
import random
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # the graphs are drawn and respelt by the tests' code

import shared_cells as cells
import shared_evaluation as evaluation
import shared_full_cells as full_cells
import shared_near_misses as near_misses
import shared_respelling as respelling

from archsearch.graph.canonical import Canonical, canonicalize
from archsearch.graph.structure import Structure

MAX_ERROR = 1e-12


@dataclass
class Findings:
    """What was counted."""

    forms: dict[str, Structure] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    worst_error: float = 0.0
    growth: list[float] = field(default_factory=list)

    def broken(self) -> int:
        """Returns the number of broken promises."""
        names = ("changed digests", "collisions", "not idempotent", "near misses with the same digest")
        return sum(self.counts[name] for name in names) + (self.worst_error > MAX_ERROR)


def check_graph(structure: Structure, rng: random.Random, findings: Findings) -> None:
    """Respells one graph and compares, and compares it with its near misses."""
    original = canonicalize(structure)
    respelt = canonicalize(respelling.respell(structure, rng))
    counts = findings.counts
    counts["graphs"] += 1
    counts["nodes"] += len(structure.nodes)
    findings.growth.append(len(original.structure.nodes) / len(structure.nodes))
    if original.is_exact:
        counts["changed digests"] += _form(original) != _form(respelt)
    else:
        counts["beyond a bound"] += 1
        counts["beyond a bound, changed"] += _form(original) != _form(respelt)
    counts["not idempotent"] += _form(canonicalize(original.structure)) != _form(original)
    counts["collisions"] += findings.forms.setdefault(original.digest, original.structure) != original.structure
    weights = evaluation.random_weights(structure, rng)
    carried = evaluation.carried_over(weights, original.matrices, original.biases, original.states)
    error = evaluation.relative_error(
        evaluation.outputs(structure, weights), evaluation.outputs(original.structure, carried), original.states
    )
    findings.worst_error = max(findings.worst_error, error)
    variants = list(near_misses.near_misses(structure, rng))
    for _, near_miss in rng.sample(variants, min(2, len(variants))):
        if evaluation.surely_differ(structure, near_miss, rng):
            counts["near misses"] += 1
            counts["near misses with the same digest"] += canonicalize(near_miss).digest == original.digest


def _form(canonical: Canonical) -> tuple[str, Structure, list[str]]:
    return canonical.digest, canonical.structure, list(canonical.structure.nodes)


def measure_times(num_nodes: int, num_graphs: int, seed: int) -> list[float]:
    """Returns the CPU milliseconds of one canonicalization per graph, the best of three, sorted."""
    times = []
    for index in range(num_graphs):
        rng = random.Random(f"{seed} {num_nodes} {index}")
        structure = full_cells.full_structure(rng, num_nodes, rng.randint(1, 4))
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            canonicalize(structure)
            best = min(best, time.process_time() - start)
        times.append(1000 * best)
    return sorted(times)


def main() -> int:
    """Runs the check and prints what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=10_000, help="how many random graphs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the graphs (default: %(default)s)")
    arguments = parser.parse_args()
    findings = Findings()
    for index in range(arguments.graphs):
        rng = random.Random(f"{arguments.seed} {index}")
        draw = cells.random_structure if index % 2 else full_cells.full_structure
        check_graph(draw(rng, rng.randint(5, 60), rng.randint(1, 4)), rng, findings)
    counts = findings.counts
    print(f"graphs {counts['graphs']}, mean nodes {counts['nodes'] / counts['graphs']:.1f}")
    print(f"digests {len(findings.forms)}, collisions {counts['collisions']}")
    print(f"changed digests {counts['changed digests']}, not idempotent {counts['not idempotent']}")
    print(f"beyond a bound {counts['beyond a bound']}, of these changed {counts['beyond a bound, changed']}")
    print(
        f"near misses {counts['near misses']}, with the same digest {counts['near misses with the same digest']}, "
        f"worst error {findings.worst_error:.1e}"
    )
    growth = statistics.quantiles(findings.growth, n=20)
    print(f"nodes after / before: median {growth[9]:.2f}, 95 % below {growth[18]:.2f}, most {max(findings.growth):.2f}")
    for num_nodes in (20, 60):
        times = measure_times(num_nodes, 200, arguments.seed)
        print(f"{num_nodes} nodes: median {statistics.median(times):.2f} ms, worst {times[-1]:.2f} ms")
    print("all promises kept" if not findings.broken() else f"{findings.broken()} promises broken")
    return 1 if findings.broken() else 0


if __name__ == "__main__":
    sys.exit(main())
