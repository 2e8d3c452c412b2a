"""What becomes of a process under which the memory that WAL shares between processes is taken away."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from shared_simulation import answer, make_small_plan

from archsearch.run.journal import Journal
from archsearch.run.shared_memory import guarded
from archsearch.search.evolution import Evolution

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SIGBUS is raised as Linux does")

# a page beyond the end of its file cannot be written, as little as one of a file system that has become read-only
SCRIPT = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from shared_simulation import answer, make_small_plan
    from archsearch.run import journal as module
    from archsearch.search.evolution import Evolution

    path, moment = Path(sys.argv[1]), sys.argv[2]
    first, second = [trial for _, trial in Evolution(make_small_plan()).ask()][:2]
    journal = module.Journal.create(path)
    journal.add_trial(first, answer(first))

    def take_away(*_):
        os.truncate(f"{path}-shm", 0)

    if moment == "commit":
        module._identity = take_away  # asked in the midst of a transaction
    else:
        module.check_shared_memory = take_away
    if moment == "commit":
        journal.add_trial(second, answer(second))
    elif moment == "read":
        journal.num_trials()
    else:
        journal.close()
    print("still there")
    """
)


@pytest.mark.parametrize("moment", ["commit", "read", "close"])
def test_a_process_ends_with_a_paragraph_and_a_whole_journal(moment, tmp_path):
    path = tmp_path / "archsearch.db"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), moment],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout == ""
    assert f"{path}: the disk has refused a write" in ended.stderr
    assert "resume the run" in ended.stderr
    journal, trial = Journal.open(path), next(trial for _, trial in Evolution(make_small_plan()).ask())
    assert journal.result(trial.key) == answer(trial)
    journal.close()


def test_signals_are_as_before_afterwards(tmp_path):
    heard = []
    before = signal.signal(signal.SIGBUS, lambda *_: heard.append("before"))
    try:
        with guarded(tmp_path / "archsearch.db"):
            assert signal.getsignal(signal.SIGBUS) is not before
        signal.raise_signal(signal.SIGBUS)
    finally:
        signal.signal(signal.SIGBUS, before)
    assert heard == ["before"]
    assert signal.set_wakeup_fd(-1) == -1


def test_another_signal_in_the_midst_of_a_commit_ends_nothing(tmp_path):
    heard = []
    before = signal.signal(signal.SIGUSR2, lambda *_: heard.append("heard"))
    try:
        with guarded(tmp_path / "archsearch.db"):
            signal.raise_signal(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert heard == ["heard"]
