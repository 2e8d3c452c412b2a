"""The installed command under signals and with a reader that goes away: exit codes, words, processes."""

import functools
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shared_faults import MARK, await_no_process, marked_processes

from archsearch.run.reading import load_run

COMMAND = str(Path(sys.executable).with_name("archsearch"))
LONG = ("name=run", "search.max_steps=1000000", "task.xml.epoch=1000000", "time_limit_seconds=3600")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@contextmanager
def searching(folder: Path, *words: str) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    """Starts a search whose trials run in a process beside it, and sees that nothing of it is left."""
    mark = uuid.uuid4().hex
    heed_interrupts = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [COMMAND, "search", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, MARK: mark},
        preexec_fn=heed_interrupts,
    ) as process:
        try:
            yield process, mark
        finally:
            process.kill()
    assert await_no_process(mark) == {}, "processes were left behind"


def await_first_trial(process: "subprocess.Popen[str]", mark: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("This search"):
            break
    while not any("trial_worker" in command for command in marked_processes(mark).values()):
        assert process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_with_the_command_that_goes_on(tiny_words, tmp_path, number):
    with searching(tmp_path, *tiny_words, *LONG, "grace_seconds=0") as (process, mark):
        await_first_trial(process, mark)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "resume run=results/run" in out
    assert "Traceback" not in err


def test_signals_after_the_last_word_change_nothing(tiny_words, tmp_path):
    with searching(tmp_path, *tiny_words, *LONG, "grace_seconds=0") as (process, mark):
        await_first_trial(process, mark)
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert any("resume run=results/run" in line for line in process.stdout)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)  # else they arrive faster than they can be handled
    assert process.returncode == 130


def test_a_second_signal_says_it_too(tiny_words, tmp_path):
    with searching(tmp_path, *tiny_words, *LONG, "grace_seconds=3600") as (process, mark):
        await_first_trial(process, mark)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        for line in process.stderr:
            if "stop again to leave at once" in line:
                break
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "left at once" in err
    assert "resume run=results/run" in err


def test_a_reader_that_goes_away_stops_the_search_in_good_order(tiny_words, tmp_path):
    with searching(tmp_path, *tiny_words, "name=run", "time_limit_seconds=60", "search.max_steps=200") as (
        process,
        mark,
    ):
        await_first_trial(process, mark)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
    assert process.returncode == 1, err
    assert "what reads the output was closed" in err
    assert load_run(tmp_path / "results/run").tasks == ("xml",)
