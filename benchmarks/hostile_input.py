"""Random and hostile input of every kind, in bulk: never a traceback, never a hang, never more than 1 GB.

    python benchmarks/hostile_input.py            10,000 cases of each kind; half an hour on one core
    python benchmarks/hostile_input.py 500 7000   500 cases of each kind, from number 7000 on
    python benchmarks/hostile_input.py 500 0 equations journals   these kinds alone

Each kind runs in a process of its own, whose peak of memory is watched. `tests/test_hostile_input.py` has a short form.
"""

import multiprocessing
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from shared_hostile import KINDS, try_case

MAX_MEGABYTES = 1024


def main() -> None:
    """Runs all kinds, prints a line for each and every finding, and ends with 1 if there was one."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    failed = False
    context = multiprocessing.get_context("spawn")
    kinds = sys.argv[3:] or list(KINDS)
    if not set(kinds) <= set(KINDS):
        sys.exit(f"expected kinds out of {', '.join(map(repr, KINDS))}, got {kinds}")
    print("| kind | cases | findings | slowest, CPU seconds | peak memory, MB |\n|---|---|---|---|---|", flush=True)
    for kind in kinds:
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=run_kind, args=(kind, first, count, sending))
        process.start()
        sending.close()
        try:
            findings, slowest, megabytes = receiving.recv()
        except EOFError:
            findings, slowest, megabytes = {"process": "it ended early"}, 0.0, 0.0
        process.join()
        print(f"| {kind} | {count:,} | {len(findings)} | {slowest:.2f} | {megabytes:.0f} |", flush=True)
        for number, finding in list(findings.items())[:5]:
            print(f"\ncase {number}:\n{finding}", file=sys.stderr)
        failed = failed or bool(findings) or megabytes > MAX_MEGABYTES
    sys.exit(int(failed))


def run_kind(kind: str, first: int, count: int, sending: "multiprocessing.connection.Connection") -> None:
    """Runs the cases of one kind and sends the findings by number, the slowest case, and the peak of memory."""
    findings, slowest = {}, 0.0
    for number in range(first, first + count):
        begin = time.process_time()
        found = try_case(kind, number)
        slowest = max(slowest, time.process_time() - begin)
        if found:
            findings[number] = found
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sending.send((findings, slowest, megabytes))


if __name__ == "__main__":
    main()
