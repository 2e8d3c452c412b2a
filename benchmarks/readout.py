"""Measures the readout of a large vocabulary, forward and backward, against torch's: linear layer and cross entropy.

One thread on one core, T * B = 700 positions; medians of interleaved repeats.
"""

import argparse
import sys
from pathlib import Path

import torch
from tables import CsvFile, table
from timing import disturbance, interleaved_medians, pin_one_thread
from torch import nn
from torch.nn.functional import cross_entropy

from archsearch.compiler.native.compiled import check_native
from archsearch.compiler.native.ends import Readout
from archsearch.errors import ArchSearchError

NUM_ROWS = 700
AT_LEAST = {"full": 1.2, "bfloat16": 3.5}
COLUMNS = ("H", "V", "torch_ms", "full_ms", "bfloat16_ms", "full_speedup", "bfloat16_speedup", "full_gflops")

_EXAMPLES = """\
examples:
  python benchmarks/readout.py                     10,000 words, H = 256: half a minute
  python benchmarks/readout.py --symbols 548 10000 --sizes 64 256
"""


def measure(
    hidden_size: int, num_symbols: int, precisions: list[str], seconds: float
) -> tuple[dict[str, object], float]:
    """Returns times, and the share of the core that the measurement had."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(NUM_ROWS, hidden_size, generator=generator)
    targets = torch.randint(num_symbols, (NUM_ROWS,), generator=generator)
    layer = nn.Linear(hidden_size, num_symbols)

    def by_torch() -> None:
        layer.zero_grad(set_to_none=True)
        leaf = rows.detach().requires_grad_()
        (cross_entropy(layer(leaf), targets, reduction="sum") / 20).backward()  # type: ignore[no-untyped-call]

    def natively(precision: str) -> None:
        readouts[precision].loss(rows.data_ptr(), hidden_size, NUM_ROWS, None, targets, 1 / 20, d_rows.data_ptr())

    weight, bias, d_rows = layer.weight.detach(), layer.bias.detach(), torch.empty_like(rows)
    readouts = {
        name: Readout(weight, bias, torch.empty_like(weight), torch.empty_like(bias), name) for name in precisions
    }
    contenders = {"torch": by_torch} | {name: lambda name=name: natively(name) for name in precisions}
    measured = interleaved_medians(contenders, seconds, 25)
    times = measured.milliseconds
    row: dict[str, object] = {"H": hidden_size, "V": num_symbols}
    row |= {f"{name}_ms": value for name, value in times.items()}
    row |= {f"{name}_speedup": times["torch"] / times[name] for name in precisions}
    row["full_gflops"] = 6 * NUM_ROWS * hidden_size * num_symbols / times["full"] / 1e6
    return row, measured.cpu_share


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[256], metavar="H", help="units (default: 256)")
    parser.add_argument("--symbols", type=int, nargs="+", default=[10_000], metavar="V", help="default: 10000")
    parser.add_argument("--seconds", type=float, default=15, help="aimed at for a row (default: %(default)s)")
    parser.add_argument("--csv", type=Path, default=Path("bench-readout.csv"), help="written to (default: %(default)s)")
    arguments = parser.parse_args()
    print(pin_one_thread())
    precisions = ["full"]
    try:
        check_native("full")
        check_native("bfloat16")
        precisions.append("bfloat16")
    except ArchSearchError as error:
        print(f"readout: {error}", file=sys.stderr)
    rows, shares = [], []
    with CsvFile(arguments.csv, COLUMNS) as file:
        for hidden_size in arguments.sizes:
            for num_symbols in arguments.symbols:
                row, share = measure(hidden_size, num_symbols, precisions, arguments.seconds)
                rows.append(row)
                shares.append(share)
                file.add(row)
    print(table(COLUMNS, [[row.get(name) for name in COLUMNS] for row in rows]))
    for row in rows:
        for name in precisions if row["V"] == 10_000 and row["H"] == 256 else ():
            speedup = float(str(row[f"{name}_speedup"]))
            word = "met" if speedup >= AT_LEAST[name] else "NOT MET"
            print(f"10,000 words against torch, {name}: {speedup:.2f}, at least {AT_LEAST[name]}: {word}")
    print(disturbance(shares))
    return 0


if __name__ == "__main__":
    sys.exit(main())
