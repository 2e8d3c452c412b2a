"""How many processors this process may use."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def num_processors(groups: Path = _GROUPS, own_groups: Path = _OWN_GROUPS) -> int:
    """Returns the number of processors that this process may use, as a container or a batch system allows.

    A quota of two and a half processors counts as three: workers that share them lose less than one that is missing.

    Args:
        groups: Where Linux shows its control groups.
        own_groups: The file that says in which of them this process is.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([processors, *(max(1, math.ceil(quota)) for quota in _quotas(groups, own_groups))])


def _quotas(groups: Path, own_groups: Path) -> Iterator[float]:
    """Yields the processors' time, in processors, that the process's groups and those above them may use."""
    for root, path in _places(groups, own_groups):
        folder = root / path.lstrip("/")  # in a container it may be that of the machine around it, which is not there
        for group in (folder, *folder.parents):
            if not group.is_relative_to(root):
                break
            with suppress(OSError, ValueError, ZeroDivisionError):  # no quota there, or none that can be read
                yield _quota(group)


def _places(groups: Path, own_groups: Path) -> list[tuple[Path, str]]:
    """Returns where the groups that share out processors begin, each with the process's own group there."""
    try:
        entries = [line.split(":", 2) for line in own_groups.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):  # not Linux
        return []
    shares = [(names.split(","), path) for _, names, path in (entry for entry in entries if len(entry) == 3)]
    unified = [(groups, path) for names, path in shares if names == [""]]
    return unified + [(groups / "cpu", path) for names, path in shares if "cpu" in names]


def _quota(group: Path) -> float:
    """Returns a group's quota.

    Raises:
        OSError: It has none.
        ValueError: It is unlimited.
        ZeroDivisionError: The file holds nonsense.
    """
    unified = group / "cpu.max"
    if unified.is_file():
        quota, period = unified.read_text(encoding="utf-8").split()
    else:
        quota = (group / "cpu.cfs_quota_us").read_text(encoding="utf-8")
        period = (group / "cpu.cfs_period_us").read_text(encoding="utf-8")
    if int(quota) < 0:
        raise ValueError("unlimited")
    return int(quota) / int(period)
