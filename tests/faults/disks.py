"""Disks that are full, gone or not to be written: the search waits, says what it needs, and loses nothing."""

import os
import resource
import shutil
import subprocess
from pathlib import Path

from faults.place import SMALL_SEARCH, WATCHED, Place
from faults.promises import ImpossibleHereError, expect, fault
from faults.sitting import Sitting
from faults.tables import journal_problem, kept_keys

PATIENCE = "ARCHSEARCH_DISK_PATIENCE_SECONDS"
WAITS = "it says the path and the need, hands out no trial and keeps what has finished in memory"
GIVES_UP = f"{WAITS}; exit 1 after its patience with the journal whole; resumed, it ends as if never stopped"


def _await_complaint(place: Place, sitting: Sitting) -> None:
    sitting.await_text("No trial is handed out")
    expect(str(place.run) in sitting.text, f"the path is not named: {sitting.text[-500:]}")


def _let_no_file_grow(place: Place, sitting: Sitting) -> None:
    """Keeps the files of the journal as long as they are, until the search complains."""
    largest = max(path.stat().st_size for path in place.run.glob("archsearch.db*"))
    resource.prlimit(sitting.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    _await_complaint(place, sitting)


def _administer(*words: str) -> None:
    """Runs a command that mostly only an administrator may.

    Raises:
        ImpossibleHereError: It fails, or there is none.
    """
    try:
        program = shutil.which(words[0]) or words[0]
        subprocess.run([program, *words[1:]], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ImpossibleHereError(f"this machine does not let us do '{' '.join(words)}' ({error})") from error


def _small_disk(place: Place, megabytes: int = 4) -> Path:
    """Puts a small file system where the row's run will be.

    Raises:
        ImpossibleHereError: It cannot be mounted here.
    """
    place.run.mkdir()
    _administer("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place.run))
    place.at_end(lambda: _administer("umount", "-l", str(place.run)))
    return place.run / "ballast"


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


@fault(
    "disk-full-for-a-while", "the disk is full, until somebody makes space", f"{WAITS}; then it goes on to the same end"
)
def disk_full_for_a_while(place: Place) -> str:
    ballast = _small_disk(place)
    sitting = place.simulate_until(8, seconds=0.02)
    _fill(ballast)
    _await_complaint(place, sitting)
    begun = len(place.begun)
    ballast.unlink()
    sitting.ends_with(0).says("takes results again")
    place.expect_same_end()
    repeated = place.num_repeated
    expect(repeated == 0, f"{repeated} trials were repeated")
    return f"it waited after {begun} trials, went on, repeated none; all tables equal"


@fault("disk-full-for-good", "the disk is full and stays so", GIVES_UP)
def disk_full_for_good(place: Place) -> str:
    ballast = _small_disk(place)
    sitting = place.simulate_until(8, seconds=0.02, environment={PATIENCE: "3"})
    _fill(ballast)
    sitting.ends_with(1).says(place.run, "space", "resume the run")
    problem = journal_problem(place.run / "archsearch.db")
    expect(not problem, problem)
    kept, begun = len(kept_keys(place.run)), len(place.begun)
    ballast.unlink()
    place.simulate_to_the_same_end()
    repeated = place.num_repeated
    expect(repeated <= 1, f"{repeated} trials were repeated, of {begun} begun before")
    return f"exit 1 with {kept} trials kept, journal whole; resumed, {repeated} repeated, all tables equal"


@fault(
    "disk-full-at-the-start",
    "the disk is full before the search begins",
    "exit 2 or 1 at once, naming the folder and the space",
)
def disk_full_at_the_start(place: Place) -> str:
    _fill(_small_disk(place, megabytes=1))
    words = (*SMALL_SEARCH, *WATCHED, f"results_dir={place.run}", "name=first")
    ended = place.command("search", *words).end().at_once()
    expect(ended.code in {1, 2}, f"exit code {ended.code}: {ended.text[-500:]}")
    ended.says(place.run, "space")
    return f"exit {ended.code}: {' '.join(ended.text.split())[-120:]}"


@fault(
    "quota",
    "the file system takes no longer files for a while, as with a quota (RLIMIT_FSIZE of the running search)",
    f"{WAITS}; then it goes on to the same end",
    fast=True,
)
def quota(place: Place) -> str:
    sitting = place.simulate_until(8, seconds=0.02)
    _let_no_file_grow(place, sitting)
    begun = len(place.begun)
    resource.prlimit(sitting.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sitting.ends_with(0).says("takes results again")
    place.expect_same_end()
    return f"it waited after {begun} trials and went on; all tables equal"


@fault(
    "stopped-while-the-disk-is-full",
    "SIGTERM while the search waits for a full disk",
    "exit 130 at once, journal whole; resumed, the same end",
)
def stopped_while_the_disk_is_full(place: Place) -> str:
    sitting = place.simulate_until(8, seconds=0.02)
    _let_no_file_grow(place, sitting)
    sitting.process.terminate()
    ended = sitting.ends_with(130)
    expect(ended.seconds < 15, f"it took {ended.seconds:.1f} s")
    place.simulate_to_the_same_end()
    return f"exit 130 after {ended.seconds:.1f} s; resumed, all tables equal"


def _immutable(paths: list[Path], sign: str = "+") -> None:
    """Forbids every write to files and folders, also to files that are open, and to the administrator.

    Raises:
        ImpossibleHereError: Only the administrator can, on some file systems.
    """
    _administer("chattr", f"{sign}i", *map(str, paths))


def _close(place: Place, folder: Path) -> None:
    """Takes the right to write in a folder away; the administrator may write everywhere, but for this."""
    place.at_end(lambda: _immutable([folder], "-"))
    if os.geteuid() == 0:
        _immutable([folder])
    else:
        folder.chmod(0o500)


def _open(folder: Path) -> None:
    if os.geteuid() == 0:
        _immutable([folder], "-")
    else:
        folder.chmod(0o700)


@fault("read-only-mid-run", "the folder and its files become read-only in mid-run (immutable)", GIVES_UP)
def read_only_mid_run(place: Place) -> str:
    sitting = place.simulate_until(8, seconds=0.02, environment={PATIENCE: "3"})
    # not the memory that WAL shares, see the next row
    paths = [place.run, place.run / "archsearch.db", place.run / "archsearch.db-wal"]
    place.at_end(lambda: _immutable(paths, "-"))
    _immutable(paths)
    sitting.ends_with(1).says(place.run, "right to write", "resume the run")
    kept = len(kept_keys(place.run))
    _immutable(paths, "-")
    place.simulate_to_the_same_end()
    return f"exit 1 with {kept} trials kept; resumed, all tables equal"


@fault(
    "read-only-shared-memory",
    "the same, and the file that WAL maps into memory cannot be written either",
    "exit 1 as above, or, where it strikes in the midst of a commit, exit 1 at once, which says so; either way the "
    "journal is whole, and at most the trials of that commit are repeated; resumed, it ends as if never stopped",
)
def read_only_shared_memory(place: Place) -> str:
    sitting = place.simulate_until(8, seconds=0.02, environment={PATIENCE: "3"})
    paths = [place.run, *place.run.glob("archsearch.db*")]
    place.at_end(lambda: _immutable(paths, "-"))
    _immutable(paths)
    sitting.ends_with(1).says(place.run, "resume the run")
    how = "in the midst of a commit" if "SIGBUS" in sitting.text else "between commits"
    _immutable(paths, "-")
    kept = len(kept_keys(place.run))
    place.simulate_to_the_same_end()
    repeated = place.num_repeated
    expect(repeated <= 2, f"{repeated} trials were repeated")  # one in flight, one in the commit
    return f"exit 1 with {kept} trials kept, {how}; resumed, {repeated} repeated, all tables equal"


@fault(
    "shared-memory-lost-in-a-commit",
    "the file that WAL maps into memory loses its blocks: the next commit cannot touch it (SIGBUS)",
    "exit 1 at once, with the path and how to go on; the journal is whole, at most the trials of that commit are "
    "repeated; resumed, it ends as if never stopped",
    fast=True,
)
def shared_memory_lost_in_a_commit(place: Place) -> str:
    sitting = place.simulate_until(8, seconds=0.02)
    os.truncate(place.run / "archsearch.db-shm", 0)
    ended = sitting.ends_with(1).at_once()
    ended.says(place.run, "SIGBUS", "resume the run")
    kept = len(kept_keys(place.run))
    place.simulate_to_the_same_end()
    repeated = place.num_repeated
    expect(repeated <= 2, f"{repeated} trials were repeated")  # one in flight, one in the commit
    return f"exit 1 with {kept} trials kept; resumed, {repeated} repeated, all tables equal"


@fault(
    "permission-lost",
    "a search of an ordinary user whose folder loses the right to write in mid-run, and gets it back",
    "the search goes on or waits, and comes to the same end",
)
def permission_lost(place: Place) -> str:
    sitting = place.simulate_until(8, seconds=0.05)
    _close(place, place.run)
    begun = len(place.begun)
    sitting.await_that(
        lambda: len(place.begun) > begun + 10 or "handed out" in sitting.text, "the search went on or waited"
    )
    _open(place.run)
    ended = sitting.ends_with(0)
    place.expect_same_end()
    waited = "waited" if "handed out" in ended.text else "went on, since the journal was open"
    return f"it {waited}; exit 0, all tables equal"


@fault(
    "results-not-writable",
    "results_dir lies where nothing can be written",
    "exit 2 before the first trial, naming the folder",
)
def results_not_writable(place: Place) -> str:
    folder = place.folder / "closed"
    folder.mkdir()
    _close(place, folder)
    ended = place.command("search", *SMALL_SEARCH, *WATCHED, f"results_dir={folder}", "name=first").ends_with(2)
    ended.says(folder, "results_dir")
    return f"exit 2: {' '.join(ended.text.split())[-120:]}"


@fault(
    "folder-removed",
    "the run's folder is removed in mid-run",
    "it stops with exit 1 after its patience and names the path: it does not pretend to have kept anything",
)
def folder_removed(place: Place) -> str:
    sitting = place.simulate_until(8, seconds=0.02, environment={PATIENCE: "3"})
    shutil.rmtree(place.run)
    ended = sitting.end()
    expect(ended.code == 1, f"exit code {ended.code}; the folder exists: {place.run.exists()}; {ended.text[-600:]}")
    ended.says(place.run)
    return f"exit 1: {' '.join(ended.text.split())[-160:]}"
