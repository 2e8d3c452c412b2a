"""On what kind of file system a folder lies: some cannot share memory between processes, which WAL needs."""

import os
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
JOURNAL_MODE = "ARCHSEARCH_JOURNAL_MODE"

_NETWORK = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "afpfs", "coda", "9p", "virtiofs"),
        *("lustre", "gpfs", "mmfs", "beegfs", "ceph", "glusterfs", "ocfs2", "gfs", "gfs2", "pvfs2", "orangefs"),
        *("panfs", "wekafs", "davfs", "sshfs"),
    )
)


def is_network(path: Path) -> bool:
    """Tells whether a path lies on a file system of the network, or on one that a program (FUSE) provides."""
    kind = file_system_of(path)
    return kind in _NETWORK or kind.startswith("fuse")


def journal_mode(path: Path) -> str:
    """Returns SQLite's journal mode for a file: `WAL`, or `DELETE` where other machines may look.

    The environment variable `ARCHSEARCH_JOURNAL_MODE` (`wal` or `delete`) decides otherwise.
    """
    wanted = os.environ.get(JOURNAL_MODE, "").upper()
    if wanted in {"WAL", "DELETE"}:
        return wanted
    return "DELETE" if is_network(path) else "WAL"


def file_system_of(path: Path) -> str:
    """Returns the type of the file system as the kernel calls it; empty where that is not known."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # not Linux
        return ""
    real = os.path.realpath(path)
    best, kind = "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = _unescaped(fields[4])
        # a later line stands for what was mounted over an earlier one
        if _lies_under(real, point) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def _lies_under(path: str, point: str) -> bool:
    return point == "/" or path == point or path.startswith(point + "/")


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
