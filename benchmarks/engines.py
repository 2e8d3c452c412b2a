"""Measures the engines on zoo cells and random mutants, beside torch's own modules and the matrix products alone.

One process, one thread on one core, the same work for all: 35 time steps of 20 sequences, float32, backward including
the gradient of x. *layer* is the forward and the backward pass through autograd with a given gradient of the output;
*step* is a whole training step: forward, loss, backward, SGD; *direct* is the same without autograd, as a search
trains. Times are medians of interleaved repeats. Mutants are drawn from a seed as a search draws them; none is left
out. The floor is the fastest of three ways to form the cell's matrix products and nothing else.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from contenders import PEERS, make_runs
from matrix_products import count_flops, packed_products, ways_to_multiply
from search_cells import NamedCell, draw_mutants, named_cells
from tables import CsvFile, table
from targets import SIZES, report
from timing import disturbance, interleaved_medians, pin_one_thread, seconds_of

from archsearch.compiler.lower import lower
from archsearch.compiler.native.build import CACHE_VARIABLE, cache_folder
from archsearch.compiler.native.compiled import check_native
from archsearch.compiler.native.engine import NativeEngine
from archsearch.compiler.program import CellProgram
from archsearch.errors import ArchSearchError
from archsearch.training.denormals import flush_denormals
from archsearch.training.environment import describe_environment

T, B = 35, 20
JAX_SCRIPT = Path(__file__).with_name("jax_scan.py")
JAX_SECONDS = 600

CONTENDERS = ("interpreter", "native", "nn_gru", "nn_lstm", "torch_loop", "jax_scan")
WAYS = ("untransposed", "transposed", "packed")
COLUMNS = (
    *("cell", "kind", "digest", "H", "nodes", "matrices"),
    *(f"{name}_{kind}_ms" for name in CONTENDERS for kind in ("layer", "step")),
    "native_direct_step_ms",
    *(f"floor_{way}_ms" for way in WAYS),
    *("floor_ms", "floor_way", "floor_share", "flops", "native_layer_gflops"),
    *("build_cold_seconds", "build_cached_seconds", "rounds", "cpu_share"),
)

_EXAMPLES = f"""\
examples:
  python benchmarks/engines.py                                  everything: some 20 minutes, with JAX if it is there
  python benchmarks/engines.py --quick                          three cells, five mutants, H = 64: about half a minute
  python benchmarks/engines.py --sizes 64 128 --mutants 10
  python benchmarks/engines.py --cells gru my_cell.eq --mutants 0 --csv gru.csv

columns of the CSV: {", ".join(COLUMNS)}
"""

Row = dict[str, object]


def measure_cell(cell: NamedCell, sizes: Sequence[int], seconds: float, max_rounds: int, with_jax: bool) -> list[Row]:
    """Returns one row per size."""
    program = lower(cell.graph.structure)
    products = packed_products(program)
    cold, cached = measure_build(program)
    in_jax = measure_in_jax(cell, sizes, seconds / 4, max_rounds) if with_jax and cell.name in PEERS else {}
    rows: list[Row] = []
    for H in sizes:
        row: Row = {
            "cell": cell.name,
            "kind": cell.kind,
            "digest": cell.graph.digest,
            "H": H,
            "nodes": len(cell.graph.structure.nodes),
            "matrices": sum(product.num_matrices for product in products),
            "flops": count_flops(products, T, B, H),
            "build_cold_seconds": cold,
            "build_cached_seconds": cached,
        }
        generator = torch.Generator().manual_seed(1)
        x, gradient = (torch.randn(T, B, H, generator=generator) for _ in range(2))
        runs = make_runs(cell.graph, cell.name, x, gradient)
        if products:
            runs |= {f"floor_{way}_ms": run for way, run in ways_to_multiply(products, T, B, H).items()}
        measured = interleaved_medians(runs, seconds, max_rounds)
        times = measured.milliseconds
        row |= times | {"rounds": measured.rounds, "cpu_share": measured.cpu_share}
        if products:
            way = min(WAYS, key=lambda way: times[f"floor_{way}_ms"])
            row |= {"floor_ms": times[f"floor_{way}_ms"], "floor_way": way}
            row["floor_share"] = times[f"floor_{way}_ms"] / times["native_layer_ms"]
            row["native_layer_gflops"] = count_flops(products, T, B, H) / times["native_layer_ms"] / 1e6
        row |= in_jax.get(H, {})
        rows.append(row)
    return rows


def measure_build(program: CellProgram) -> tuple[float, float]:
    """Returns the seconds of making a program ready to run: cold, what all cells share being there, then again."""
    for compiled in cache_folder().glob("*.so"):  # another cell may have the same code
        compiled.unlink()
    # the object is unloaded in between, as nothing holds it
    return tuple(seconds_of(lambda: NativeEngine(program).code(torch.float32)) for _ in range(2))  # type: ignore[return-value]


def measure_in_jax(cell: NamedCell, sizes: Sequence[int], seconds: float, max_rounds: int) -> dict[int, Row]:
    """Returns a cell's times in JAX by size; none, and a line that says why, where that fails."""
    request = {"cell": cell.graph.to_json(), "sizes": list(sizes), "T": T, "B": B}
    request |= {"seconds": seconds, "max_rounds": max_rounds}
    try:
        done = subprocess.run(
            [sys.executable, str(JAX_SCRIPT)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=JAX_SECONDS,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as error:
        detail = (getattr(error, "stderr", None) or "").strip().splitlines()[-1:]
        _say(f"JAX: {cell.name} not measured: {' '.join([str(error).splitlines()[0], *detail])}")
        return {}
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        answer["H"]: {"jax_scan_layer_ms": answer["layer"], "jax_scan_step_ms": answer["step"]} for answer in answers
    }


def summary(rows: Sequence[Row]) -> str:
    """Returns the table: milliseconds, and what follows from them."""
    header = ("cell", "H", "nodes", "matrices", "interpreter", "native", "direct", "torch", "jax")
    header += ("interpreter", "native", "torch", "jax", "floor", "share", "GFLOP/s", "build ms")
    lines = []
    for row in sorted(rows, key=lambda row: (row["H"], row["kind"] == "mutant")):
        times = []
        for kind in ("step", "layer"):
            times += [row[f"interpreter_{kind}_ms"], row[f"native_{kind}_ms"]]
            times += [row["native_direct_step_ms"]] if kind == "step" else []
            times += [row.get(f"nn_gru_{kind}_ms", row.get(f"nn_lstm_{kind}_ms")), row.get(f"jax_scan_{kind}_ms")]
        lines.append(
            (
                *(row[name] for name in ("cell", "H", "nodes", "matrices")),
                *times,
                *(row.get(name) for name in ("floor_ms", "floor_share", "native_layer_gflops")),
                1000 * cast(float, row["build_cold_seconds"]),
            )
        )
    title = "milliseconds; first five times: a whole training step, next five: the layer (torch: nn.GRU or nn.LSTM)"
    return f"{title}\n{table(header, lines)}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", metavar="H", help="units and features (default: 64 128 256 512)"
    )
    parser.add_argument("--cells", nargs="+", metavar="CELL", help="zoo names or files (default: the whole zoo)")
    parser.add_argument("--mutants", type=int, help="random mutants (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutants (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=25, help="most rounds of repeats a row (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.5, help="aimed at for a row (default: %(default)s)")
    parser.add_argument(
        "--csv", type=Path, default=Path("bench-engines.csv"), help="written to (default: ./%(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="gru, lstm_torch, mut1, five mutants, H = 64")
    arguments = parser.parse_args()
    quick = arguments.quick
    arguments.sizes = arguments.sizes or ([64] if quick else list(SIZES))
    arguments.cells = arguments.cells or (["gru", "lstm_torch", "mut1"] if quick else [])
    arguments.mutants = (5 if quick else 50) if arguments.mutants is None else arguments.mutants
    if min(*arguments.sizes, arguments.repeats, 1) < 1 or arguments.mutants < 0:
        parser.error("sizes and repeats must be at least 1, mutants at least 0")
    return arguments


def main() -> int:
    """Measures, prints and writes."""
    arguments = _arguments()
    pinned = pin_one_thread()
    try:
        cells = named_cells(arguments.cells) + draw_mutants(arguments.mutants, arguments.seed)
        with tempfile.TemporaryDirectory(prefix="archsearch-benchmark-") as folder:
            os.environ[CACHE_VARIABLE] = folder  # a cold build must be cold, and leaves nothing behind
            check_native()
            _run(arguments, cells, pinned)
    except ArchSearchError as error:
        _say(str(error))
        return 2
    return 0


def _run(arguments: argparse.Namespace, cells: Sequence[NamedCell], pinned: str) -> None:
    environment = describe_environment("native")
    print(f"{environment['cpu']}, torch {environment['torch']}, {pinned}; T = {T}, B = {B}, float32")
    with_jax = importlib.util.find_spec("jax") is not None
    if not with_jax:
        print("JAX is not installed: its columns stay empty (pip install jax)")
    rows: list[Row] = []
    start = time.monotonic()
    with CsvFile(arguments.csv, COLUMNS) as file, flush_denormals():
        for number, cell in enumerate(cells, 1):
            for row in measure_cell(cell, arguments.sizes, arguments.seconds, arguments.repeats, with_jax):
                rows.append(row)
                file.add(row)
            _say(f"[{time.monotonic() - start:5.0f} s] {number}/{len(cells)} {cell.name}")
    if rows:
        print(f"\n{summary(rows)}\n\n{report(rows)}{disturbance([cast(float, row['cpu_share']) for row in rows])}")
    print(f"\n{len(rows)} rows in {arguments.csv.absolute()}, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
