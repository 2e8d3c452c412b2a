"""The lock of a run's folder: names its holder, knows when the holder is gone."""

import errno
import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from archsearch.errors import SearchStateError
from archsearch.run import lock as module
from archsearch.run.lock import Holder, locked, start_of, this_process

HOLD = """
import sys
from pathlib import Path
from archsearch.run.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "archsearch.lock"


@pytest.fixture
def without_kernel_locks(monkeypatch):
    """A file system of the network that has no locks."""

    def refuse(_file, _operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module, "is_network", lambda _path: True)
    monkeypatch.setattr(module.fcntl, "flock", refuse)


def gone():
    """Returns a holder of this machine whose process has ended."""
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return replace(this_process(), pid=int(process.stdout))


def test_the_holder_is_named_and_its_death_is_noticed(path, caplog):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(SearchStateError, match=rf"another process \(pid {process.pid} on .*, since 20"), locked(path):
        pass
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    with caplog.at_level(logging.WARNING), locked(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert f"the lock of pid {process.pid}" in caplog.text
    assert "taken over" in caplog.text
    assert path.read_text() == ""


def test_a_clean_end_leaves_nothing_to_take_over(path, caplog):
    for _ in range(2):
        with locked(path):
            pass
    assert caplog.text == ""


@pytest.mark.usefixtures("without_kernel_locks")
def test_without_kernel_locks_a_live_process_of_this_machine_is_respected(path):
    parent = replace(this_process(), pid=os.getppid(), start=start_of(os.getppid()))
    path.write_text(json.dumps(asdict(parent)))
    with pytest.raises(SearchStateError, match="another process"), locked(path):
        pass


@pytest.mark.usefixtures("without_kernel_locks")
def test_a_dead_process_and_a_later_one_of_its_number_are_none(path, caplog):
    later = replace(this_process(), pid=os.getppid(), start="another boot 1")
    for holder in (gone(), later):
        path.write_text(json.dumps(asdict(holder)))
        with caplog.at_level(logging.WARNING), locked(path):
            pass
        assert f"pid {holder.pid}" in caplog.text


@pytest.mark.usefixtures("without_kernel_locks")
def test_another_machine_is_gone_once_it_gives_no_sign_of_life(path, caplog):
    path.write_text(json.dumps(asdict(Holder(1, "elsewhere", "boot 1", "2026-01-01 00:00:00"))))
    with pytest.raises(SearchStateError, match=r"pid 1 on elsewhere.*sign of life"), locked(path):
        pass
    long_ago = path.stat().st_mtime - module.SILENT_SECONDS - 1
    os.utime(path, (long_ago, long_ago))
    with caplog.at_level(logging.WARNING), locked(path):
        pass
    assert "elsewhere" in caplog.text


def test_on_a_local_disk_the_name_of_another_machine_is_no_obstacle(path, caplog, monkeypatch):
    """A container that was ended has a new name when it comes again; the kernel's lock has told the truth."""
    monkeypatch.setattr(module, "is_network", lambda _path: False)
    path.write_text(json.dumps(asdict(Holder(1, "elsewhere", "boot 1", "2026-01-01 00:00:00"))))
    with caplog.at_level(logging.WARNING), locked(path):
        pass
    assert "elsewhere" in caplog.text


@pytest.mark.parametrize("text", ["pid 123456\n", "nonsense", "[1]", '{"pid": "x"}'])
def test_what_earlier_versions_or_accidents_left_is_no_obstacle(path, text):
    path.write_text(text)
    with locked(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_signs_of_life_are_given(path, monkeypatch):
    given = []

    class Ended:
        def wait(self, _seconds):
            return len(given) == 2

    monkeypatch.setattr(module.os, "utime", given.append)
    module._give_signs(path, Ended())
    assert given == [path, path]


def test_a_lock_file_removed_under_its_holder_lets_nobody_in(path):
    with locked(path):
        path.unlink()
        with pytest.raises(SearchStateError, match="another process"), locked(path):
            pass
    with locked(path):
        pass
