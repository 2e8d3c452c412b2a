"""Folders and files from somebody else, other runs as memory, and clocks that lie."""

import json
import shutil
from pathlib import Path

from faults.place import Place
from faults.promises import expect, fault
from faults.tables import kept_keys, read_rows, read_summary

ALIASES = "task: {}\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)
JUMPING_CLOCK = """
import time

_real, _calls = time.time, [0]


def _jumping():
    _calls[0] += 1
    return _real() + (86400, -86400, 0)[_calls[0] % 3]


time.time = _jumping
"""


def _contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@fault(
    "configuration-names-code",
    "config.yaml of somebody else names os.system, a module of Python's that acts when it is loaded, or nothing",
    "refused with exit 2, naming what was expected; nothing of it is loaded or called",
    fast=True,
)
def configuration_names_code(place: Place) -> str:
    shutil.copytree(place.whole("command"), place.run)
    path = place.run / "config.yaml"
    text = path.read_text()
    for target in ("os.system", "antigravity.fly", "archsearch.trials.task.Task", "../evil.Task"):
        path.write_text(text.replace("archsearch.tasks.xml.Xml", target))
        place.resume().ends_with(2).says(target, "expected the path of a Task")
    return "four times exit 2: expected the path of a Task"


@fault(
    "configuration-of-aliases",
    "config.yaml of 600 bytes whose aliases stand for 3 billion values; one nested 100,000 deep; one of 2 MB",
    "refused with exit 2 within seconds",
)
def configuration_of_aliases(place: Place) -> str:
    shutil.copytree(place.whole("command"), place.run)
    for text in (ALIASES, "task: " + "[" * 100_000, "task: {}\n" + "#" * 2_000_000):
        (place.run / "config.yaml").write_text(text)
        place.resume().ends_with(2).at_once().says("config.yaml")
    return "three times exit 2"


@fault(
    "recorded-in-another-run",
    "a run stopped half-way is left, and a new search is given its trials with recorded=OLD; then OLD is removed",
    "what OLD holds is not trained again, OLD is not written to, the new run needs it no more; the same end",
    fast=True,
)
def recorded_in_another_run(place: Place) -> str:
    place.stop_half_way()
    old = place.folder / "old"
    place.run.rename(old)
    known, before, num_begun = kept_keys(old), _contents(old), len(place.begun)
    place.search(f"recorded={old}", "budget.candidates=4").ends_with(0).says("recorded in other runs")
    again = known.intersection(place.begun[num_begun:])
    expect(not again, f"{len(again)} recorded trials were trained again")
    expect(_contents(old) == before, "the old run was written to")
    shutil.rmtree(old)
    place.resume("budget.candidates=8").ends_with(0).says("goes on without it")
    whole = place.whole("command")
    for name in ("leaderboard", "trials", "candidates"):
        rows, others = read_rows(place.run, name), read_rows(whole, name)
        clock = [column for column in rows[0] if "seconds" in column]
        expect(
            [{**row, **dict.fromkeys(clock)} for row in rows] == [{**row, **dict.fromkeys(clock)} for row in others],
            f"{name}.csv differs from that of a run that trained everything",
        )
    copied = read_summary(place.run)["recorded_in_other_runs"]
    return f"{copied} of {len(known)} recorded trials copied, none trained again; all tables equal"


@fault(
    "recorded-is-damaged",
    "recorded= names no run, a journal cut in half, a folder without a journal",
    "exit 2 before anything is made, naming it",
)
def recorded_is_damaged(place: Place) -> str:
    old = place.folder / "old"
    shutil.copytree(place.whole("command"), old)
    journal = old / "archsearch.db"
    content = journal.read_bytes()
    journal.write_bytes(content[: len(content) // 2])
    place.damaged.add(journal)
    place.search(f"recorded={old}").ends_with(2).says("recorded: ")
    journal.unlink()
    place.search(f"recorded={old}").ends_with(2).says("recorded: ")
    place.search(f"recorded={place.folder / 'nowhere'}").ends_with(2).says("recorded: ")
    expect(not place.run.exists(), "a folder was made")
    return "three times exit 2, nothing made"


@fault(
    "founder-named-like-a-formula",
    "a founder's file is called =1+1.eq, and deleted between two sittings",
    "the run holds the cell; leaderboard.csv has a name that no spreadsheet computes and that cell= takes",
)
def founder_named_like_a_formula(place: Place) -> str:
    founder = place.folder / "=1+1.eq"
    founder.write_text("h' = tanh(linear(x, h))\n")
    place.stop_half_way(f"founders=[gru,'{founder}']", kept=6)
    founder.unlink()
    place.resume().ends_with(0)
    names = [row["name"] for row in read_rows(place.run, "leaderboard")]
    expect("'=1+1" in names, f"names in leaderboard.csv: {names}")
    place.command("show", f"run={place.run}", "cell='=1+1").ends_with(0)
    return "leaderboard.csv says '=1+1; show takes it"


@fault(
    "clock-jumps",
    "the wall clock jumps by a day forth and back at every look",
    "no limit strikes, nothing is lost; the same end",
)
def clock_jumps(place: Place) -> str:
    (place.folder / "sitecustomize.py").write_text(JUMPING_CLOCK)
    tests = str(Path(__file__).parents[1])
    place.search("budget.candidates=8", environment={"PYTHONPATH": f"{place.folder}:{tests}"}).ends_with(0)
    place.expect_same_end("command")
    statuses = json.dumps(read_summary(place.run)["statuses"])
    return f"exit 0; all tables equal; {statuses}"
