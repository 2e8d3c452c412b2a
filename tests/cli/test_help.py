"""Help, version and the speed of both."""

import json
import shlex
import subprocess
import sys

import pytest

from archsearch.cli.configuration_files import settings_text
from archsearch.cli.help import COMMANDS
from archsearch.cli.words import parse_words
from archsearch.graph.catalog import zoo_names

SCRIPT = """
import json, sys
from archsearch.cli.main import run_command_line
code = run_command_line(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""


def test_overview_names_every_command(archsearch):
    outcome = archsearch("--help")
    assert outcome.code == 0
    for name, command in COMMANDS.items():
        assert name in outcome.out
        assert command.summary in outcome.out


def test_without_a_command_the_overview_is_shown_and_it_is_an_error(archsearch):
    outcome = archsearch()
    assert outcome.code == 2
    assert outcome.out == archsearch("--help").out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_examples_and_settings(name, archsearch):
    outcome = archsearch(name, "--help")
    assert outcome.code == 0
    assert 2 <= len(COMMANDS[name].examples) <= 6
    for example in COMMANDS[name].examples:
        assert example in outcome.out
    assert settings_text(name) in outcome.out
    assert "defaults:" not in outcome.out


@pytest.mark.parametrize("example", [example for command in COMMANDS.values() for example in command.examples])
def test_examples_are_settings_of_their_command(example):
    words = shlex.split(example.removeprefix("archsearch "))
    command = "task check" if words[:2] == ["task", "check"] else words[0]
    del words[: len(command.split())]
    assert command in COMMANDS
    assert len(parse_words(command, words)) == len(words)


def test_help_lists_tasks_and_experiments(archsearch):
    outcome = archsearch("search", "--help")
    assert "experiment: jozefowicz2015, overnight, own_data, quickstart, smoke, table_1" in outcome.out
    assert "penn_treebank" in outcome.out


@pytest.mark.parametrize(
    "words", [["--help"], ["search", "--help"], ["show", "-h"], ["evaluate", "name=x", "-h"], ["--version"]]
)
def test_help_loads_nothing_heavy(words):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True, timeout=60
    )
    code, loaded = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert {name.partition(".")[0] for name in loaded}.isdisjoint({"torch", "ray", "hydra", "omegaconf", "pandas"})


def test_help_of_show_lists_the_zoo(archsearch):
    listed = archsearch("show", "--help").out.rpartition(":\n")[2]
    assert listed.replace("\n", " ").replace(",", " ").split() == list(zoo_names())


def test_version(archsearch):
    outcome = archsearch("--version")
    assert outcome.code == 0
    assert outcome.out.startswith("archsearch ")


def test_configuration_is_printed_and_nothing_is_done(archsearch, tmp_path):
    outcome = archsearch("search", "task=[xml]", "task.xml.num_letters=5", "--cfg")
    assert outcome.code == 0
    assert "num_letters: 5" in outcome.out
    assert list(tmp_path.iterdir()) == []
