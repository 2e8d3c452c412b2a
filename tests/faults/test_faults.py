"""The fast rows of the fault suite, and what its table and its document say of all of them.

`make faults` runs the others.
"""

import csv
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import __main__ as runner
from faults.document import row_of
from faults.place import Place, Suite
from faults.promises import BROKEN, FAULTS, KEPT, SKIPPED, BrokenPromiseError, Fault, ImpossibleHereError, expect
from faults.suite import FAMILIES, FAULTS_BY_NAME, Row, run_fault, run_faults

DOCUMENT = Path(__file__).parents[2] / "docs" / "faults.md"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
FAST = [fault for fault in FAULTS if fault.is_fast]


@pytest.fixture(scope="module")
def suite() -> Iterator[Suite]:
    """What the rows share."""
    made = Suite()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def signals_reach_children(monkeypatch):
    """Undoes what a shell does to what runs in its background: children would inherit it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@LINUX
@pytest.mark.parametrize(
    "fault", [pytest.param(f, id=f.name, marks=[pytest.mark.ray] if f.needs_ray else []) for f in FAST]
)
def test_the_promise_is_kept(fault, suite):
    row = run_fault(fault, suite)
    if row.verdict == SKIPPED:
        pytest.skip(row.seen)
    assert row.verdict == KEPT, f"{fault.injected}: promised {fault.promised}; {row.seen}"


def test_the_suite_is_as_large_as_it_says():
    assert len(FAULTS) >= 25
    assert len(FAULTS_BY_NAME) == len(FAULTS), "two rows have one name"
    assert {fault.family for fault in FAULTS} == set(FAMILIES)
    assert sum(fault.needs_ray for fault in FAST) <= 1, "a test run starts one Ray for the suite, at most"


def test_the_document_has_every_promise():
    text = DOCUMENT.read_text(encoding="utf-8")
    missing = [fault.name for fault in FAULTS if row_of(fault) not in text]
    assert missing == [], (
        f"docs/faults.md lacks rows as they are; `python -m faults --document` prints its tables: {missing}"
    )


def breaks(place: Place) -> str:
    expect(False, "it was lost")
    return "never"


def is_impossible(place: Place) -> str:
    raise ImpossibleHereError("no such disk here")


def is_a_mistake(place: Place) -> str:
    return {"something": ""}["nothing"]


def leaves_a_process(place: Place) -> str:
    place.start([sys.executable, "-c", "import time; print('there', flush=True); time.sleep(3600)"]).await_text("there")
    return "a process"


@LINUX
@pytest.mark.parametrize(
    ("inject", "verdict", "seen"),
    [
        (breaks, BROKEN, "it was lost"),
        (is_impossible, SKIPPED, "no such disk here"),
        (is_a_mistake, BROKEN, "KeyError"),
        (leaves_a_process, BROKEN, "processes were left behind"),
    ],
)
def test_a_row_that_fails_is_told_and_cleaned_up(suite, inject, verdict, seen, monkeypatch, tmp_path):
    monkeypatch.setattr("faults.place.SECONDS_TO_END", 0.2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (row,) = run_faults([Fault("row", "", "", inject, "family")], suite, 1)
    assert row.verdict == verdict
    assert seen in row.seen
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_in_the_output_is_told(suite):
    place = Place(suite)
    try:
        ended = place.start([sys.executable, "-c", "print('one')"]).ends_with(0)
        with pytest.raises(BrokenPromiseError, match="expected 'two' among what it said, got: one"):
            ended.says("one", "two")
    finally:
        place.close()


def test_the_runner_lists_and_refuses(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["faults", "--list", "--only", "journals,quota"])
    assert runner.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.partition("/")[0] for line in lines} == {"journals", "disks"}
    monkeypatch.setattr(sys, "argv", ["faults", "--only", "jurnals"])
    with pytest.raises(SystemExit, match="no row or family jurnals"):
        runner.main()


def test_the_runner_writes_a_table_and_tells_a_broken_promise(monkeypatch, capsys, tmp_path):
    row = Row(FAULTS[0], BROKEN, "it was lost", 1.0)
    monkeypatch.setattr(runner, "run_faults", lambda *_: iter([row]))
    monkeypatch.setattr(sys, "argv", ["faults", "--only", FAULTS[0].name, "--csv", str(tmp_path / "rows.csv")])
    assert runner.main() == 1
    assert f"{FAULTS[0].promised} | it was lost | FAIL (1 s)" in capsys.readouterr().out
    (found,) = csv.DictReader((tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines())
    assert (found["fault"], found["verdict"], found["seen"]) == (FAULTS[0].name, BROKEN, "it was lost")
