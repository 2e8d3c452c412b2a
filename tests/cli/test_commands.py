"""The commands as a person uses them, on a run of a second."""

import functools
import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console
from shared_unrolling import why_not_native

from archsearch.cli import running
from archsearch.cli.tables import leaderboard_table
from archsearch.compiler.native import engine as native_engine
from archsearch.errors import InvalidGraphError, SearchStateError
from archsearch.export.weights import load_weights
from archsearch.graph.catalog import load_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.cost import count_multiply_adds
from archsearch.interop import from_darts
from archsearch.run.execution import Execution, Limits
from archsearch.run.reading import load_run
from archsearch.run.session import Stopped
from archsearch.search.leaderboard import leaderboard_rows

COMMAND = Path(sys.executable).parent / "archsearch"


def without_clock(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path / "leaderboard.csv")
    return frame[[column for column in frame.columns if "seconds" not in column]]


def test_search_says_the_cost_and_ends_with_the_leaderboard(archsearch, tiny_words):
    outcome = archsearch("search", *tiny_words, "name=first")
    assert outcome.code == 0
    for part in ("trials", "gru", "fitness", "Leaderboard: results/first/leaderboard.csv", "archsearch resume"):
        assert part in outcome.out
    assert outcome.out.index("This search will run about") < outcome.out.index("fitness")
    assert "name=first" in Path("results/first/commands.txt").read_text(encoding="utf-8")


def test_nothing_of_hydra_is_left_behind(tiny_run):
    names = {path.name for path in tiny_run.parent.iterdir()}
    assert names == {"tiny"}
    assert not list(tiny_run.rglob("*.log"))


def test_default_name_is_the_experiment_and_a_number(archsearch, tiny_words):
    assert archsearch("search", *tiny_words).code == 0
    assert archsearch("search", *tiny_words, "seed=2").code == 0
    assert sorted(path.name for path in Path("results").iterdir()) == ["smoke-1", "smoke-2"]


def test_kept_configuration_is_resolved(tiny_run):
    values = yaml.safe_load((tiny_run / "config.yaml").read_text(encoding="utf-8"))
    assert values["experiment"] == "smoke"
    assert values["engine"] != "auto"
    assert list(values["task"]) == ["xml"]
    assert values["task"]["xml"]["search"]["max_steps"] == 2
    assert "???" not in (tiny_run / "config.yaml").read_text(encoding="utf-8")


def test_leaderboard(archsearch, tiny_run):
    outcome = archsearch("leaderboard", f"run={tiny_run}", "top=1")
    assert outcome.code == 0
    first = load_run(tiny_run).leaderboard().iloc[0]
    assert (first["name"] or first["cell"]) in outcome.out
    assert f"{tiny_run / 'leaderboard.csv'}" in outcome.out
    assert "more" in outcome.out
    assert f"   {first['step_milliseconds']:.2f}   " in outcome.out


def test_a_run_without_a_ranked_cell_says_why(archsearch, tiny_words):
    outcome = archsearch("search", *tiny_words, "name=none", "search.space.learning_rates=[1e30]", "search.max_steps=9")
    assert outcome.code == 1
    assert "baseline 'gru'" in outcome.err
    outcome = archsearch("leaderboard", "run=results/none")
    assert outcome.code == 0
    assert "Nothing is ranked yet" in outcome.out
    for command in ("show", "export", "ablate", "diff"):
        outcome = archsearch(command, "run=results/none", "rank=1")
        assert outcome.code == 2
        assert "nothing is ranked before the founders have results" in outcome.err
    assert archsearch("report", "run=results/none").code == 0


def test_show_of_the_zoo_and_of_a_run(archsearch, tiny_run):
    outcome = archsearch("show", "cell=gru")
    assert outcome.code == 0
    assert "r * h" in outcome.out
    assert "98,688" in outcome.out
    assert "c_" in outcome.out
    found = load_run(tiny_run).knowledge.listed[-1][1]
    outcome = archsearch("show", f"cell={found}", f"run={tiny_run}")
    assert outcome.code == 0
    assert "ratio on xml" in outcome.out


def test_show_gives_the_costs_of_a_search_beside_those_as_written(archsearch, tmp_path):
    (tmp_path / "long.eq").write_text(
        "n = tanh(linear(x, h))\nz = sigmoid(x)\nh' = n + z * h - z * n\n", encoding="utf-8"
    )
    written = load_cell("long.eq")
    canonical = written.canonical().structure
    assert len(canonical.nodes) < len(written.structure.nodes), "the two forms would differ in nothing"
    rows = dict(line.split("  ", 1) for line in archsearch("show", "cell=long.eq").out.splitlines() if "  " in line)
    assert rows["nodes"].strip() == (
        f"{len(written.structure.nodes)}; {len(canonical.nodes)} in canonical form, as a search trains it"
    )
    assert f"; {count_multiply_adds(canonical, 128, 128):,} in" in rows["multiply-adds per step at 128"]
    assert "canonical" not in rows["matrices"] + archsearch("show", "cell=gru").out


def test_show_of_a_cell_too_long_in_canonical_form_for_a_search(archsearch, tmp_path):
    cell = from_darts({"recurrent": [("relu", step) for step in range(32)], "concat": [32]})
    (tmp_path / "chain.eq").write_text(cell.equations(), encoding="utf-8")
    with pytest.raises(InvalidGraphError, match="nodes"):
        cell.canonical()
    outcome = archsearch("show", "cell=chain.eq")
    assert (outcome.code, outcome.err) == (0, "")


def test_a_founder_of_a_run_is_shown_by_its_name_there(archsearch, tiny_words, tmp_path):
    for init, path in enumerate(("one/mine.eq", "two/mine.eq", "three/other.eq"), start=1):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(f"h' = tanh(linear(x, h, bias_init={init}))\n", encoding="utf-8")
    founders = "founders=[gru,one/mine.eq,two/mine.eq,three/other.eq]"
    assert archsearch("search", *tiny_words, "name=named", founders).code == 0
    outcome = archsearch("show", "run=results/named", "cell=other")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("other\n")
    assert "ratio on xml" in outcome.out
    twice = archsearch("show", "run=results/named", "cell=mine")
    assert twice.code == 2
    assert "expected one cell of this name in results/named, got 2. Write the id of one: c_" in twice.err
    unknown = archsearch("show", "run=results/named", "cell=mime")
    assert unknown.code == 2
    assert "Names in results/named: gru, mine, other; its other cells: rank=…, or the id." in unknown.err


def test_resume_with_more_candidates_equals_a_longer_search(archsearch, tiny_words, copied_run):
    outcome = archsearch("resume", f"run={copied_run}", "budget.candidates=3")
    assert outcome.code == 0
    assert archsearch("search", *tiny_words, "name=long", "budget.candidates=3").code == 0
    pd.testing.assert_frame_equal(without_clock(copied_run), without_clock(Path("results/long")))
    assert yaml.safe_load((copied_run / "config.yaml").read_text(encoding="utf-8"))["budget"]["candidates"] == 3


def test_resume_of_a_finished_run_trains_nothing(archsearch, copied_run):
    before = load_run(copied_run).trials()
    assert archsearch("resume", f"run={copied_run}").code == 0
    pd.testing.assert_frame_equal(load_run(copied_run).trials(), before)


def test_resume_takes_what_was_typed_if_it_is_the_same(archsearch, copied_run):
    same = (
        "experiment=smoke",
        "seed=1",
        "task=[xml]",
        "task.xml.search.max_steps=2",
        "search.max_steps=2",
        "engine=auto",
    )
    assert archsearch("resume", f"run={copied_run}", "founders=[gru,lstm]", *same).code == 0


@pytest.mark.parametrize(
    "change",
    ["seed=2", "task=[xml,words]", "founders=[lstm,gru]", "search.max_steps=3", "task.xml.num_letters=5", "gate=0.1"],
)
def test_resume_refuses_what_differs(change, archsearch, copied_run):
    before = {path.name: path.read_bytes() for path in copied_run.iterdir()}
    outcome = archsearch("resume", f"run={copied_run}", change)
    assert outcome.code == 2
    assert change.partition("=")[0] in outcome.err
    assert {path.name: path.read_bytes() for path in copied_run.iterdir()} == before


@pytest.mark.parametrize("word", ["budget.candidates=0", "budget.candidate=9", "sed=1"])
def test_resume_refuses_less_and_unknown(word, archsearch, copied_run):
    outcome = archsearch("resume", f"run={copied_run}", word)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


def test_configuration_in_a_run_folder_is_judged_before_anything_is_built(archsearch, copied_run):
    path = copied_run / "config.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("archsearch.tasks.xml.Xml", "os.system"), encoding="utf-8")
    outcome = archsearch("resume", f"run={copied_run}", "budget.candidates=2")
    assert outcome.code == 2
    assert "os.system" in outcome.err


def test_damaged_configuration(archsearch, copied_run):
    (copied_run / "config.yaml").write_text("task: [", encoding="utf-8")
    outcome = archsearch("resume", f"run={copied_run}")
    assert outcome.code == 2
    assert "config.yaml" in outcome.err


def test_what_fails_after_the_first_trial_has_another_code(archsearch, tiny_words, monkeypatch):
    real = running.run_search

    def fails_late(*arguments):
        real(*arguments)
        raise SearchStateError("the disk is full")

    monkeypatch.setattr(running, "run_search", fails_late)
    outcome = archsearch("search", *tiny_words)
    assert outcome.code == 1
    assert outcome.err.startswith("archsearch: the disk is full. Once its cause is gone, the run goes on")
    assert outcome.err.endswith("resume run=results/smoke-1\n")


def test_stopped_run_says_how_to_go_on(archsearch, tiny_words, monkeypatch):
    def stops(*arguments):
        raise Stopped("stopped")

    monkeypatch.setattr(running, "run_search", stops)
    outcome = archsearch("search", *tiny_words, "name=first one")
    assert outcome.code == 130
    assert "archsearch resume 'run=results/first one'" in outcome.out


def test_stop_before_the_search_begins_says_how_to_go_on_too(archsearch, tiny_words, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patches:
        patches.setattr(running, "measure_training_speed", interrupted)
        outcome = archsearch("search", *tiny_words, "name=early")
    assert outcome.code == 130
    assert "archsearch resume run=results/early" in outcome.out
    assert archsearch("resume", "run=results/early").code == 0


def test_interrupt_of_the_installed_command(tiny_words, tmp_path):
    words = [*tiny_words, "name=halted", "search.max_steps=100000", "time_limit_seconds=3600"]
    # what a shell starts in the background ignores Ctrl-C, and so would all that these tests start there
    heed_interrupts = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [COMMAND, "search", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("This search"):
                break
        while not (tmp_path / "results/halted/archsearch.lock").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "archsearch resume run=results/halted" in out
    assert "Traceback" not in err


def test_installed_command_works_from_another_folder(tmp_path):
    done = subprocess.run([COMMAND, "show", "cell=mut1"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "mut1" in done.stdout


def test_reader_that_leaves_early_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([COMMAND, "search", "--help"], stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_lookahead_too_short_for_the_workers_is_said(archsearch, tiny_words, monkeypatch):
    monkeypatch.setattr(running, "run_search", lambda *_: (_ for _ in ()).throw(Stopped("enough")))
    outcome = archsearch("search", *tiny_words, "workers=3", "lookahead=4")
    assert outcome.err.count("\n") == 1
    assert "lookahead=4" in outcome.err
    assert archsearch("search", *tiny_words, "workers=2", "lookahead=4").err == ""


def test_evaluate_trains_and_keeps_weights(archsearch):
    words = ("task=xml", "task.xml.validation_size=700", "task.xml.epoch=2", "steps=4", "setting.max_parameters=2000")
    first = archsearch("evaluate", "cell=gru", *words, "save=new/gru.safetensors")
    assert first.code == 0
    assert "chance" in first.out
    assert "ceiling" in first.out
    assert first.out.count("step  ") == 2
    saved = load_weights("new/gru.safetensors")
    assert any(name.startswith("readout") for name in saved.tensors)
    cell = CellGraph.from_json(saved.metadata["graph"])
    assert saved.metadata["digest"] == cell.digest
    assert saved.metadata["equations"] == cell.equations()
    parts = {node.weights or name for name, node in cell.nodes.items()}
    assert {name.split(".")[3] for name in saved.tensors if name.startswith("layers.")} <= parts
    again = archsearch("evaluate", "cell=gru", *words)
    assert [line for line in again.out.splitlines() if line.startswith("step")] == [
        line for line in first.out.splitlines() if line.startswith("step")
    ]


def test_evaluate_says_whether_the_schedule_has_ended_and_goes_on_until_then(archsearch):
    words = ("cell=tanh", "task=xml", "task.xml.validation_size=700", "task.xml.epoch=2", "setting.max_parameters=2000")
    words += ("setting.learning_rate=1e-9", "recipe.patience=2", "recipe.num_halvings=1")
    short = archsearch("evaluate", *words, "steps=3")
    assert "these were 1.5 epochs: the schedule of the learning rate was not at its end; steps=null trains" in short.out
    whole = archsearch("evaluate", *words, "steps=null")
    assert "on xml, until the schedule ends," in whole.out
    assert "ok after 8 steps in" in whole.out, "the first epoch, two without improvement, one halved"
    assert "these were" not in whole.out


def test_evaluate_with_a_run_repeats_its_best_trial(archsearch, tiny_run):
    run = load_run(tiny_run)
    accuracy = run.leaderboard().iloc[0]["accuracy_xml"]
    outcome = archsearch("evaluate", f"run={tiny_run}", "rank=1", "task=xml")
    assert outcome.code == 0
    assert f"best validation accuracy {accuracy:.4f}" in outcome.out
    changed = archsearch("evaluate", f"run={tiny_run}", "rank=1", "task=xml", "steps=1", "setting.learning_rate=0.25")
    assert "at most 1 steps" in changed.out
    assert "lr0.25" in changed.out


@pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native()))
def test_evaluate_runs_a_cell_that_is_too_large_for_native_on_the_interpreter(archsearch, monkeypatch, caplog):
    monkeypatch.setattr(native_engine, "MAX_INSTRUCTIONS", 4)
    words = ("cell=gru", "task=xml", "task.xml.validation_size=700", "steps=1", "setting.max_parameters=2000")
    settled = archsearch("evaluate", *words)
    assert settled.code == 0, settled.out + settled.err
    assert "best validation accuracy" in settled.out
    (line,) = [record.getMessage() for record in caplog.records if "expected at most 4" in record.getMessage()]
    assert line.startswith("engine auto: the slower interpreter runs instead. Reason: engine native: the cell has")
    refused = archsearch("evaluate", *words, "engine=native")
    assert refused.code != 0, "an engine that was asked for is not exchanged"
    assert "Use engine=interpreter" in refused.out + refused.err


def test_one_thread_per_trial(archsearch, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    archsearch("show", "cell=gru")
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_search_whose_reader_leaves_says_how_to_go_on(archsearch, tiny_words, monkeypatch):
    monkeypatch.setattr(running, "run_search", lambda *_: (_ for _ in ()).throw(BrokenPipeError))
    outcome = archsearch("search", *tiny_words, "name=unheard")
    assert outcome.code == 1
    assert "archsearch resume run=results/unheard" in outcome.err


def test_where_the_shell_does_not_find_archsearch_the_next_commands_name_its_place(archsearch, tiny_run, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("sys.argv", ["venv/bin/archsearch"])
    outcome = archsearch("resume", f"run={tiny_run}", "workers=0")
    assert outcome.code == 0
    assert "  venv/bin/archsearch show cell=" in outcome.out


def test_a_deleted_journal_is_not_begun_anew(archsearch, tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "copy")
    (tmp_path / "copy" / "archsearch.db").unlink()
    board = (tmp_path / "copy" / "leaderboard.csv").read_text()
    outcome = archsearch("resume", "run=copy")
    assert outcome.code == 2
    assert "expected the folder of a run" in outcome.err
    assert (tmp_path / "copy" / "leaderboard.csv").read_text() == board


def test_a_changed_configuration_is_noticed_before_the_first_trial(archsearch, tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "copy")
    config = tmp_path / "copy" / "config.yaml"
    config.write_text(config.read_text().replace("gate: 0", "gate: 0.5"))
    outcome = archsearch("resume", "run=copy", "workers=0")
    assert outcome.code == 2
    assert "config.yaml" in outcome.err


def test_a_narrow_terminal_shows_every_ratio(tiny_run, monkeypatch):
    run = load_run(tiny_run)
    rows = leaderboard_rows(run.knowledge)
    for width, wide in ((200, True), (60, False)):
        console = Console(width=width, file=io.StringIO())
        console.print(leaderboard_table(run, rows, width))
        text = console.file.getvalue()
        assert "…" not in text
        assert f"{rows[0].ratios['xml']:.3f}" in text
        assert ("multiply-adds" in text) == wide


def test_a_bug_of_ours_is_one_paragraph(archsearch, monkeypatch):
    monkeypatch.setattr("archsearch.cli.show.choose_cell", lambda _root: 1 / 0)
    outcome = archsearch("show", "cell=gru")
    assert outcome.code == 1
    assert "this is a bug in archsearch: ZeroDivisionError" in outcome.err
    assert "Traceback" not in outcome.err


def test_the_end_accounts_for_candidates_trials_and_duplicates(archsearch, tiny_run):
    summary = load_run(tiny_run).summary()
    line = running.account({**summary, "duplicates": {"dropped": {"known": 3, "in flight": 1}, "trials_saved": 9}})
    assert line in archsearch("resume", f"run={tiny_run}", "workers=0").out.replace(running.account(summary), line), (
        "the same account, but for the duplicates, ends a resume"
    )
    assert line.startswith("1 candidates, ")
    assert f"; {summary['trials']} trials (" in line
    assert line.endswith("4 duplicates drawn, which would have cost 9 more.")


def test_repair_says_what_was_kept_and_the_search_goes_on(archsearch, copied_run):
    whole = archsearch("repair", f"run={copied_run}")
    assert whole.code == 0
    assert "the journal is whole" in whole.out
    before = without_clock(copied_run).to_csv()
    journal = copied_run / "archsearch.db"
    data = bytearray(journal.read_bytes())
    data[data.index(b'"value": 0.') + len(b'"value": ')] = ord("7")
    journal.write_bytes(data)
    damaged = archsearch("leaderboard", f"run={copied_run}")
    assert damaged.code == 2
    assert f"archsearch repair run={copied_run}" in damaged.err
    repaired = archsearch("repair", f"run={copied_run}")
    assert repaired.code == 0
    assert "Lost: 1 trials" in repaired.out
    assert (copied_run / "archsearch.db.damaged-1").read_bytes() == data
    assert f"resume run={copied_run}" in repaired.out
    assert archsearch("resume", f"run={copied_run}").code == 0
    assert without_clock(copied_run).to_csv() == before


def test_repair_of_what_is_no_run(archsearch, tmp_path):
    outcome = archsearch("repair", f"run={tmp_path}")
    assert outcome.code == 2
    assert "expected the folder of a run" in outcome.err


def test_the_leaderboard_restores_its_file(archsearch, copied_run):
    before = (copied_run / "leaderboard.csv").read_bytes()
    (copied_run / "leaderboard.csv").unlink()
    assert archsearch("leaderboard", f"run={copied_run}").code == 0
    assert (copied_run / "leaderboard.csv").read_bytes() == before


def test_a_resume_takes_how_trials_are_computed_anew(archsearch, tiny_words, monkeypatch):
    seen = []
    monkeypatch.setattr(running, "run_search", lambda *arguments: seen.append(arguments[3]) or stop())

    def stop():
        raise Stopped("enough")

    archsearch("search", *tiny_words, "name=first", "workers=2", "grace_seconds=3", "time_limit_seconds=50")
    archsearch("resume", "run=results/first")
    archsearch("resume", "run=results/first", "workers=1", "grace_seconds=0", "ray.address=auto")
    archsearch("resume", "run=results/first", "workers=auto", "ray.address=host:6379")
    limits = Limits(50.0, None)
    assert seen == [
        Execution(2, limits, 3.0),
        Execution(2, limits, 3.0),
        Execution(1, limits, 0.0, "auto"),
        Execution(None, limits, 3.0, "host:6379"),
    ]
    archsearch("resume", "run=results/first", "time_limit_seconds=60", "memory_limit_mb=4000", "max_equal_failures=5")
    archsearch("resume", "run=results/first", "time_limit_seconds=null")
    assert [execution.limits for execution in seen[4:]] == [Limits(60.0, 4000), Limits(None, None)]
    assert [execution.max_equal_failures for execution in seen[4:]] == [5, 20]
    assert "workers" in archsearch("search", *tiny_words, "name=other", "workers=0", "ray.address=auto").err


@pytest.mark.parametrize(("engine", "is_said"), [("vectorized", True), ("auto", False)])
def test_rungs_that_begin_again_are_said_before_the_search(archsearch, tiny_words, engine, is_said):
    words = ("strategy=halving", f"engine={engine}", "workers=0", "search.max_steps=10")
    outcome = archsearch("search", *tiny_words, *words)
    assert outcome.code == 0, outcome.err
    assert ("engine=vectorized trains each rung from its beginning" in outcome.out) == is_said
