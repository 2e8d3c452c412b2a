"""What people change between two sittings: edited views and settings, other data, other code, more candidates."""

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from faults.own_task import DATA
from faults.place import TRAINED, Place
from faults.promises import expect, fault
from faults.tables import kept_keys

UNWATCHED = ("workers=0", "time_limit_seconds=null", "memory_limit_mb=null")


def _refused(place: Place, *says: object, words: Sequence[str] = (), **order: object) -> str:
    before = kept_keys(place.run)
    ended = place.resume(*words, **order).ends_with(2).says(*says)  # type: ignore[arg-type]
    expect(kept_keys(place.run) == before, "the journal was changed")
    return f"exit 2: {' '.join(ended.text.split())[-220:]}"


@fault(
    "table-edited",
    "a number in leaderboard.csv is edited between two sittings",
    "the edited copy is kept beside with a warning, the table is written anew; the same end",
)
def table_edited(place: Place) -> str:
    place.stop_half_way()
    path = place.run / "leaderboard.csv"
    edited = path.read_text().replace("gru", "our_best_cell", 1)
    path.write_text(edited)
    place.resume().ends_with(0).says("leaderboard.csv", "edited-1")
    kept = place.run / "leaderboard.csv.edited-1"
    expect(kept.exists() and kept.read_text() == edited, "the edited copy was not kept")
    place.expect_same_end("command")
    return "kept as leaderboard.csv.edited-1, with a warning; all tables equal"


@fault(
    "views-torn",
    "trials.csv loses its second half, summary.json is noise, after the end of the run",
    "archsearch leaderboard writes them anew from the journal and keeps what it found beside",
)
def views_torn(place: Place) -> str:
    shutil.copytree(place.whole("command"), place.run)
    trials, summary = place.run / "trials.csv", place.run / "summary.json"
    trials.write_text(trials.read_text()[: trials.stat().st_size // 2])
    summary.write_bytes(bytes(range(256)))
    place.command("leaderboard", f"run={place.run}").ends_with(0).says("edited-1")
    place.expect_same_end("command")
    kept = sorted(path.name for path in place.run.glob("*.edited-1"))
    expect(kept == ["summary.json.edited-1", "trials.csv.edited-1"], f"kept beside: {kept}")
    return f"written anew, {' and '.join(kept)} kept; all tables equal"


@fault(
    "views-deleted",
    "all tables, the summary and the cells' files are deleted",
    "archsearch leaderboard writes them anew from the journal",
)
def views_deleted(place: Place) -> str:
    shutil.copytree(place.whole("command"), place.run)
    cells = {path.name: path.read_text() for path in (place.run / "cells").iterdir()}
    for name in ("leaderboard.csv", "trials.csv", "candidates.csv", "summary.json"):
        (place.run / name).unlink()
    shutil.rmtree(place.run / "cells")
    place.command("leaderboard", f"run={place.run}").ends_with(0)
    place.expect_same_end("command")
    again = {path.name: path.read_text() for path in (place.run / "cells").iterdir()}
    expect(again == cells, f"{len(again)} of {len(cells)} cells' files are there again")
    return f"all tables and {len(cells)} cells' files are there again, equal"


@fault("folder-moved", "the run's folder is moved between two sittings", "resume goes on there, to the same end")
def folder_moved(place: Place) -> str:
    place.stop_half_way()
    moved = place.folder / "elsewhere" / "with a space"
    moved.parent.mkdir()
    place.run.rename(moved)
    place.run = moved
    place.resume_to_the_same_end()
    return "exit 0; all tables equal"


@fault(
    "configuration-edited",
    "the seed in config.yaml is edited",
    "refused with exit 2: names what changed and what to do; nothing is computed",
)
def configuration_edited(place: Place) -> str:
    place.stop_half_way()
    path = place.run / "config.yaml"
    text = path.read_text()
    path.write_text(text.replace("seed: 1", "seed: 2"))
    seen = _refused(place, "config.yaml")
    path.write_text(text)
    place.resume_to_the_same_end()
    return f"{seen}; restored: all tables equal"


@fault(
    "configuration-of-noise", "config.yaml is noise, then missing", "exit 2 each time, naming the file; no traceback"
)
def configuration_of_noise(place: Place) -> str:
    place.stop_half_way()
    path = place.run / "config.yaml"
    path.write_bytes(bytes(range(256)))
    seen = _refused(place, "config.yaml")
    path.write_text("seed: [1\n" * 3)
    _refused(place, "config.yaml")
    path.unlink()
    _refused(place, "config.yaml")
    return seen


@fault(
    "setting-typed",
    "resume with seed=2",
    "refused with exit 2: the difference, and the way to reuse the trials in a new run (recorded=OLD)",
)
def setting_typed(place: Place) -> str:
    place.stop_half_way()
    return _refused(place, "seed: 1 → 2", "recorded=", words=("seed=2",))


@fault(
    "task-data-changed",
    "the data of a user's own task change between two sittings",
    "refused with exit 2: names the task or its files; restored, it goes on to its end",
)
def task_data_changed(place: Place) -> str:
    data = place.folder / "data.txt"
    data.write_text("the first data\n")
    environment = {DATA: str(data)}
    place.stop_half_way("task.xml._target_=faults.own_task.OwnTask", kept=8, environment=environment)
    kept = kept_keys(place.run)
    data.write_text("other data\n")
    seen = _refused(place, "task", environment=environment)
    data.write_text("the first data\n")
    place.resume(environment=environment).ends_with(0)
    expect(kept <= kept_keys(place.run), "trials were lost")
    repeated = place.num_repeated
    expect(repeated == 0, f"{repeated} trials were repeated")
    return f"{seen}; restored: exit 0"


@fault(
    "task-code-changed",
    "the version of a task's code is another one at the second sitting",
    "refused with exit 2: names the code; with the old one it goes on to the same end",
)
def task_code_changed(place: Place) -> str:
    place.stop_half_way()
    seen = _refused(place, "code", changes={"task_version": 99})
    place.resume_to_the_same_end()
    return f"{seen}; restored: all tables equal"


@fault(
    "extended-after-a-stop",
    "a run stopped half-way goes on with more candidates",
    "the tables of a run that had them from the start; no finished trial repeated",
)
def extended_after_a_stop(place: Place) -> str:
    place.stop_half_way()
    begun, kept = len(place.begun), kept_keys(place.run)
    place.resume("budget.candidates=14").ends_with(0)
    again = kept.intersection(place.begun[begun:])
    expect(not again, f"{len(again)} finished trials were computed again")
    place.expect_same_end("extended")
    return "exit 0; all tables equal to those of 14 candidates from the start"


@fault("shortened", "resume with fewer candidates than the run has", "refused with exit 2, both numbers named")
def shortened(place: Place) -> str:
    shutil.copytree(place.whole("command"), place.run)
    ended = (
        place.resume("budget.candidates=3")
        .ends_with(2)
        .says("at least the 8 that the run", "got 3.", "extended, not shortened")
    )
    return f"exit 2: {' '.join(ended.text.split())[-120:]}"


@fault(
    "another-torch",
    "another version of torch at the second sitting of a training search",
    "said once; each trial's environment is in the journal; the run goes on",
)
def another_torch(place: Place) -> str:
    words = ("budget.candidates=4", *UNWATCHED)
    place.stop_half_way(*words, kept=4, base=TRAINED, simulated=False, seconds=0.3)
    ended = place.resume(simulated=False, changes={"torch_version": "9.9"}).ends_with(0)
    num_warnings = ended.text.count("another environment")
    expect(num_warnings == 1, f"it was said {num_warnings} times: {ended.text[-500:]}")
    ended.says("torch 9.9 instead of")
    versions = _torch_versions(place.run / "archsearch.db")
    expect("9.9" in versions and len(versions) == 2, f"the journal holds {versions}")
    place.expect_same_end("trained")
    return f"said once; versions in the journal: {', '.join(sorted(versions))}; tables equal"


def _torch_versions(journal: Path) -> set[str]:
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:
        results = [json.loads(text) for (text,) in connection.execute("SELECT result FROM trials")]
    return {str(result["environment"]["torch"]) for result in results if result.get("environment")}
