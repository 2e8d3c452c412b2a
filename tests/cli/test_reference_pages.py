"""The reference pages under docs/ say what is there: configuration, tasks, transformations, links."""

import importlib.util
import re
from pathlib import Path

import pytest

from archsearch.cli.composition import compose_settings
from archsearch.cli.configuration_files import is_group, option_names
from archsearch.cli.construction import build_object
from archsearch.cli.help import COMMANDS
from archsearch.cli.words import parse_words
from archsearch.trials.task import Task

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def first_column(page: str) -> list[str]:
    """Returns the names in the first columns of all tables of a page."""
    return re.findall(r"^\| `(\w+)` \|", text_of(page), re.MULTILINE)


def written_configuration() -> str:
    spec = importlib.util.spec_from_file_location("configuration", DOCS / "configuration.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.page())


def test_the_page_of_the_configuration_is_up_to_date():
    assert text_of("configuration.md") == written_configuration(), "run python docs/configuration.py"


def test_the_page_of_the_configuration_has_every_command_and_every_option():
    page = text_of("configuration.md")
    for command in COMMANDS:
        assert f"## `archsearch {command}`" in page
    for group in ("task", "transformation", "experiment"):
        for name in option_names(group):
            assert f"### `{name}`" in page


def test_every_setting_of_a_search_has_a_meaning():
    for line in text_of("configuration.md").splitlines():
        if line.startswith("| `"):
            assert not line.endswith("|  |"), line


def test_tasks_and_transformations_are_all_there():
    assert sorted(first_column("tasks.md")) == list(option_names("task"))
    assert sorted(first_column("transformations.md")) == sorted({*option_names("transformation")} - {"paper"})


def test_the_method_has_every_rule_once_and_in_order():
    rules = re.findall(r"^\| R(\d+)(?:-R(\d+))? \|", text_of("method.md"), re.MULTILINE)
    numbers = [number for first, last in rules for number in range(int(first), int(last or first) + 1)]
    assert numbers == list(range(1, 38))


def test_what_the_method_calls_a_setting_is_one():
    known = written_configuration()
    names = re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)(?:=[^`]*)?`", text_of("method.md"))
    assert len(names) > 20
    for name in sorted(set(names) - {"h", *COMMANDS}):
        shown = (f"`{name}`", f".{name}`", f"`{name.rpartition('.')[2]}`")
        assert is_group(name) or any(text in known for text in shown), name


@pytest.mark.parametrize(("experiment", "column"), [("quickstart", 4), ("jozefowicz2015", 5)])
def test_chance_and_ceiling_are_those_of_the_tasks(experiment, column):
    values = compose_settings("search", parse_words("search", [f"experiment={experiment}"])).values
    entries = {**values["task"], **values["screen"]["task"]}
    rows = {row.split("`")[1]: row.split(" | ") for row in text_of("tasks.md").splitlines() if row.startswith("| `")}
    checked = 0
    for name, entry in entries.items():
        if "_target_" in entry and name != "penn_treebank":  # whose text is not here
            task = build_object({key: value for key, value in entry.items() if key != "search"}, Task, name)
            expected = f"{task.chance():.3f}, {task.ceiling():.3f}"
            assert rows[name][column - 1].strip(" |") == expected
            checked += 1
    assert checked >= 3


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted(DOCS.glob("*.md")))])
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        assert target.startswith("http") or (path.parent / target).exists(), target


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in DOCS.glob("*.md"):
        assert f"(docs/{path.name})" in readme
