"""The fault suite: `make faults`, or `PYTHONPATH=tests python -m faults --help`."""

import argparse
import csv
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from faults.document import tables
from faults.place import Suite
from faults.promises import BROKEN, Fault
from faults.suite import FAULTS_BY_NAME, Row, run_faults

COLUMNS = ("family", "fault", "injected", "promised", "seen", "verdict", "seconds")


def main() -> int:
    """Runs the rows asked for, prints each, writes them to a file; returns 1 if a promise was not kept."""
    arguments = _parse()
    faults = _chosen(arguments)
    if arguments.list:
        for fault in faults:
            marks = f"{' fast' if fault.is_fast else ''}{' ray' if fault.needs_ray else ''}"
            print(f"{fault.family}/{fault.name}{marks}: {fault.injected} | {fault.promised}")
        return 0
    if arguments.document:
        print(tables(faults))
        return 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        if signal.getsignal(number) == signal.SIG_IGN:  # in the background of a shell; children would inherit it
            signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
    suite, begin, rows = Suite(), time.monotonic(), []
    try:
        for row in run_faults(faults, suite, arguments.jobs):
            rows.append(row)
            print(_line(row), flush=True)
            _write(arguments.csv, rows)
    finally:
        suite.close()
    verdicts = ", ".join(
        f"{count} {verdict}" for verdict, count in sorted(Counter(row.verdict for row in rows).items())
    )
    print(f"{len(rows)} faults: {verdicts}; {time.monotonic() - begin:.0f} s. Table: {arguments.csv}")
    return 1 if any(row.verdict == BROKEN for row in rows) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="faults",
        description="Injects faults into real runs and compares what comes of them with what was promised. Each row: "
        "what was injected | what was promised | what was seen | verdict. docs/faults.md has the promises.",
        epilog="example: make faults ARGS='--only journals,kill-6-times --csv rows.csv'",
    )
    parser.add_argument("--list", action="store_true", help="name the rows and run none")
    parser.add_argument("--document", action="store_true", help="print the tables of docs/faults.md and run none")
    parser.add_argument("--only", default="", metavar="NAMES", help="names of rows or families, with commas")
    parser.add_argument("--fast", action="store_true", help="only the rows that also run with the tests")
    parser.add_argument(
        "--jobs", type=int, default=min(2, os.cpu_count() or 1), help="rows at once (default: %(default)s)"
    )
    default = Path(tempfile.gettempdir()) / "archsearch-faults.csv"
    parser.add_argument("--csv", type=Path, default=default, metavar="FILE", help="the table (default: %(default)s)")
    return parser.parse_args()


def _chosen(arguments: argparse.Namespace) -> list[Fault]:
    names = [name for name in arguments.only.split(",") if name]
    known = {*FAULTS_BY_NAME, *(fault.family for fault in FAULTS_BY_NAME.values())}
    if unknown := set(names) - known:
        sys.exit(f"faults: there is no row or family {', '.join(sorted(unknown))}. --list names them.")
    return [
        fault
        for fault in FAULTS_BY_NAME.values()
        if (not names or {fault.name, fault.family}.intersection(names)) and (fault.is_fast or not arguments.fast)
    ]


def _line(row: Row) -> str:
    fault = row.fault
    return f"{fault.name}: {fault.injected} | {fault.promised} | {row.seen} | {row.verdict} ({row.seconds:.0f} s)"


def _write(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        order = list(FAULTS_BY_NAME)
        for row in sorted(rows, key=lambda row: order.index(row.fault.name)):
            fault = row.fault
            facts = (fault.family, fault.name, fault.injected, fault.promised, row.seen, row.verdict)
            writer.writerow([*facts, f"{row.seconds:.1f}"])


if __name__ == "__main__":
    sys.exit(main())
