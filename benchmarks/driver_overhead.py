"""Measures what share of a search's CPU time goes to anything but training: the driver and Ray.

    python benchmarks/driver_overhead.py experiment=quickstart results_dir=FOLDER workers=2

Starts `archsearch search` with the overrides given, samples the CPU times of the process and of all it started from
/proc twice a second, and prints them by kind. A process that ends between two samples is counted up to the last one.
Linux only.
"""

import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

TICKS_PER_SECOND = 100
SAMPLE_SECONDS = 0.5


def main() -> None:
    """Runs the search and prints the shares."""
    command = [str(Path(sys.executable).with_name("archsearch")), "search", *sys.argv[1:]]
    begin = time.monotonic()
    search = subprocess.Popen(command)
    seconds: dict[int, float] = {}
    kinds: dict[int, str] = {}
    while search.poll() is None:
        for pid in _with_descendants(search.pid):
            sample = _sample(pid)
            if sample is not None:
                kind, used = sample
                kinds[pid] = "driver" if pid == search.pid else kind
                seconds[pid] = used
        time.sleep(SAMPLE_SECONDS)
    elapsed = time.monotonic() - begin
    by_kind: dict[str, float] = defaultdict(float)
    for pid, used in seconds.items():
        by_kind[kinds[pid]] += used
    total = sum(by_kind.values())
    print(f"\n{elapsed:.0f} s elapsed, {total:.0f} s of CPU time")
    for kind, used in sorted(by_kind.items(), key=lambda item: -item[1]):
        print(f"  {kind:<8} {used:8.1f} s  {100 * used / total:5.1f} %")
    overhead = total - by_kind["worker"]
    print(f"driver and Ray together: {100 * overhead / total:.1f} %")
    sys.exit(search.returncode)


def _with_descendants(root: int) -> list[int]:
    """Returns the process and all processes below it."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            children[int(fields[1])].append(int(folder.name))
    found, stack = [], [root]
    while stack:
        pid = stack.pop()
        found.append(pid)
        stack.extend(children[pid])
    return found


def _sample(pid: int) -> tuple[str, float] | None:
    """Returns a process's kind and its CPU seconds, None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return None
    used = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return ("worker" if "archsearch.run.trial_worker" in command else "ray"), used


if __name__ == "__main__":
    main()
