"""A mistake gets one paragraph that says where, what was expected, what came and what to do; never a traceback."""

import os
from pathlib import Path

import pytest

# words, and what the paragraph must say
MISTAKES = {
    "misspelt setting": (["search", "sed=1"], ["'sed'", "Did you mean seed?"]),
    "misspelt option of a task": (["search", "task.xml.num_leters=4"], ["Did you mean task.xml.num_letters?"]),
    "option without its section": (["search", "num_letters=4"], ["Did you mean task.xml.num_letters"]),
    "option of a task not chosen": (
        ["search", "task=[xml]", "task.arithmetic.max_digits=1"],
        ["'arithmetic'", "task=["],
    ),
    "search of a task not chosen": (
        ["search", "task=[xml]", "task.words.search.max_steps=1"],
        ["'words'", "task=[xml,words]"],
    ),
    "misspelt part of search": (["search", "task.xml.search.max_step=1"], ["Did you mean task.xml.search.max_steps?"]),
    "unknown task": (["search", "task=[xlm]"], ["task=xlm", "Did you mean xml?", "arithmetic"]),
    "unknown experiment": (["search", "experiment=smok"], ["Did you mean smoke?", "jozefowicz2015"]),
    "unknown recipe": (["search", "recipe=x"], ["jozefowicz2015"]),
    "no task": (["search", "task=[]"], ["task"]),
    "unknown cell": (["show", "cell=gruu"], ["'gruu'", "Did you mean 'gru' or "]),
    "unknown founder": (["search", "founders=[gru,lstn]"], ["'lstn'", "Did you mean 'lstm' or "]),
    "a founder twice": (["search", "founders=[gru,gru]"], ["same cell"]),
    "no founder": (["search", "founders=[]"], ["founders"]),
    "zero candidates": (["search", "budget.candidates=0"], ["budget.candidates", "at least 1", "got 0"]),
    "budget below one unit": (
        ["search", "task=[xml]", "screen=null", "search.space.max_parameters=[10]"],
        ["task.xml.search.space.max_parameters", "one unit", "10"],
    ),
    "screen's budget below one unit": (
        ["search", "task=[xml]", "screen.search.space.max_parameters=[10]"],
        ["screen.search.space.max_parameters", "one unit"],
    ),
    "text for a number": (["search", "seed=x"], ["seed", "'x'"]),
    "number for a section": (["search", "budget=5"], ["budget", "got 5"]),
    "several for one": (["search", "seed=1,2"], ["seed", "'1,2'"]),
    "fraction for a count": (["search", "lookahead=1.5"], ["lookahead", "1.5"]),
    "share above one": (["search", "gate=2"], ["gate", "from 0 to 1"]),
    "empty coordinate": (["search", "task=[xml]", "screen=null", "search.space.num_layers=[]"], ["num_layers", "[]"]),
    "negative rate": (["search", "task=[xml]", "search.space.learning_rates=[-1]"], ["learning_rates", "above 0"]),
    "task field refused": (["search", "task.xml.num_letters=99"], ["num_letters", "99"]),
    "negative workers": (["search", "workers=-1"], ["workers", "-1"]),
    "unknown engine": (["search", "engine=warp"], ["'warp'", "interpreter"]),
    "unknown duplicate rule": (["search", "on_duplicate=reexamin"], ["Did you mean reexamine?"]),
    "target that is no task": (["search", "task.xml._target_=os.system"], ["task.xml._target_", "Task"]),
    "target of another kind": (
        ["search", "task=[xml]", "task.xml._target_=archsearch.trials.setting.Setting"],
        ["no concrete subclass of archsearch.trials.task.Task"],
    ),
    "target that runs commands": (["search", "task.xml._target_=subprocess.Popen"], ["no concrete subclass"]),
    "target that is not there": (["search", "task.xml._target_=archsearch.tasks.xml.Nope"], ["Nope"]),
    "abstract target": (["search", "task.xml._target_=archsearch.trials.task.Task"], ["no concrete subclass"]),
    "name with a slash": (["search", "name=a/b"], ["name", "'a/b'"]),
    "option that is far off": (["search", "transformation.remove_node.foo=1"], ["remove_node has:", "weight"]),
    "setting of hydra": (["search", "hydra.run.dir=x"], ["hydra.run.dir"]),
    "addition to nothing": (["search", "++foo=1"], ["'foo'"]),
    "no setting at all": (["search", "fast"], ["key=value", "'fast'"]),
    "no run": (["resume"], ["run"]),
    "no such run": (["resume", "run=nowhere"], ["nowhere"]),
    "leaderboard of no run": (["leaderboard", "run=nowhere"], ["nowhere"]),
    "no cell": (["show"], ["cell", "rank"]),
    "rank without a run": (["show", "rank=1"], ["run=", "rank"]),
    "id without a run": (["show", "cell=c_0123456789abcdef"], ["run="]),
    "no task to train on": (["evaluate", "cell=gru"], ["task=", "xml"]),
    "misspelt task to train on": (["evaluate", "cell=gru", "tsk=xml"], ["'tsk'", "Did you mean task?"]),
    "option of no task": (["evaluate", "cell=gru", "task.xml.num_letters=4"], ["expected task=…", "xml"]),
    "two tasks to train on": (["evaluate", "cell=gru", "task=[xml,words]"], ["one task"]),
    "setting that cannot work": (["evaluate", "cell=gru", "task=xml", "setting.learning_rate=0"], ["learning_rate"]),
    "model below one unit": (["evaluate", "cell=gru", "task=xml", "setting.max_parameters=3"], ["one unit"]),
    "unknown format": (["export", "cell=gru", "format=[pyton]"], ["'pyton'", "Did you mean python?"]),
    "layer that no memory holds": (
        ["export", "cell=gru", "hidden_size=60000"],
        ["1,000,000,000 weights", "hidden_size"],
    ),
    "number of any size": (["search", "lookahead=1" + "0" * 99], ["lookahead", "at most 100,000"]),
    "task of any size": (["search", "task=[xml]", "task.xml.max_tag=100000000"], ["max_tag", "from 1 to 1000"]),
    "home folder of nobody": (
        ["search", "task=[text]", "task.text.path=~nobody-of-archsearch/a.txt"],
        ["task.text.path", "no such user's home folder"],
    ),
    "cache in the home folder of nobody": (
        ["search", "task=[xml]", "checkpoint_cache=~nobody-of-archsearch/a"],
        ["checkpoint_cache", "no such user's home folder"],
    ),
    "configuration in the home folder of nobody": (
        ["search", "--config-dir=~nobody-of-archsearch/a"],
        ["--config-dir", "no such user's home folder"],
    ),
    "word of any length": (["search", "name=" + "a" * 20_000], ["at most 10,000"]),
    "class name that is none": (["export", "cell=gru", "name=2x"], ["'2x'"]),
    "trained without a run": (["export", "cell=gru", "trained=yes"], ["run="]),
    "task without trained": (["export", "cell=gru", "task=xml"], ["trained=yes"]),
    "unknown command": (["serch"], ["Did you mean search?", "leaderboard"]),
}


def assert_one_paragraph(outcome, *parts: str) -> None:
    assert outcome.err.startswith("archsearch")
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith("\n")
    for part in parts:
        assert part in outcome.err
    assert "Traceback" not in outcome.err + outcome.out


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_explained_before_anything_is_made(mistake, archsearch):
    words, parts = MISTAKES[mistake]
    outcome = archsearch(*words)
    assert_one_paragraph(outcome, *parts)
    assert outcome.code == 2
    assert list(Path.cwd().iterdir()) == []


def test_run_folder_that_exists_is_left_alone(archsearch, tiny_words):
    kept = Path("results/mine/notes.txt")
    kept.parent.mkdir(parents=True)
    kept.write_text("important", encoding="utf-8")
    outcome = archsearch("search", *tiny_words, "name=mine")
    assert_one_paragraph(outcome, "results/mine", "exists", "resume")
    assert outcome.code == 2
    assert [path.name for path in kept.parent.iterdir()] == ["notes.txt"]
    assert kept.read_text(encoding="utf-8") == "important"


def test_results_folder_that_cannot_be_made(archsearch, tiny_words):
    Path("a_file").write_text("", encoding="utf-8")
    outcome = archsearch("search", *tiny_words, "results_dir=a_file/results")
    assert_one_paragraph(outcome, "a_file", "results_dir")
    assert outcome.code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_read_only_results_folder(archsearch, tiny_words):
    Path("locked").mkdir(mode=0o500)
    outcome = archsearch("search", *tiny_words, "results_dir=locked")
    assert_one_paragraph(outcome, "locked", "results_dir")
    assert outcome.code == 2


def test_missing_files_of_a_task(archsearch):
    Path("empty").mkdir()
    outcome = archsearch("search", "task=[penn_treebank]", "task.penn_treebank.path=empty")
    assert_one_paragraph(outcome, "ptb.train.txt", "empty")
    assert outcome.code == 2
    assert [path.name for path in Path.cwd().iterdir()] == ["empty"]


@pytest.mark.parametrize(
    ("equations", "part"),
    [
        ("a = tanh(b)\nb = tanh(a)\nh' = linear(x, a)\n", "b"),
        ("h' = mul(x)\n", "mul"),
        ("h' = tanh(linear(x, q))\n", "q"),
        ("", "h"),
    ],
)
def test_bad_cell_file(equations, part, archsearch):
    Path("bad.eq").write_text(equations, encoding="utf-8")
    outcome = archsearch("show", "cell=bad.eq")
    mistakes = [line for line in outcome.err.splitlines() if not line.startswith("    ")]
    places = [line for line in outcome.err.splitlines() if line.startswith("    ")]
    assert mistakes[0].startswith("archsearch: bad.eq")
    assert part in outcome.err
    assert "Traceback" not in outcome.err + outcome.out
    assert all(line.strip() == "^" for line in places[1::2]), "each mistake shows its line and points at the place"
    assert outcome.code == 2


def test_nothing_is_overwritten_by_export(archsearch):
    assert archsearch("export", "cell=gru", "out=here").code == 0
    before = Path("here/gru.py").read_text(encoding="utf-8")
    outcome = archsearch("export", "cell=gru", "out=here", "format=[safetensors,python]")
    assert_one_paragraph(outcome, "here/gru.py", "exists")
    assert outcome.code == 2
    assert [path.name for path in Path("here").iterdir()] == ["gru.py"]
    assert Path("here/gru.py").read_text(encoding="utf-8") == before


def test_nothing_is_overwritten_by_evaluate(archsearch):
    Path("w.safetensors").write_text("mine", encoding="utf-8")
    outcome = archsearch("evaluate", "cell=gru", "task=xml", "save=w.safetensors")
    assert_one_paragraph(outcome, "w.safetensors", "exists")
    assert outcome.code == 2
    assert Path("w.safetensors").read_text(encoding="utf-8") == "mine"


def test_debug_shows_where_it_came_from(archsearch, monkeypatch):
    monkeypatch.setenv("ARCHSEARCH_DEBUG", "1")
    with pytest.raises(ValueError, match="sed"):
        archsearch("search", "sed=1")
