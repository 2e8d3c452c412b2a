"""What Hydra gets to read of what a person types."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.cli.composition import compose_settings
from archsearch.cli.words import parse_words
from archsearch.errors import ConfigError

PLAIN_TEXT = [
    "cell=a=b.eq",
    "cell=runs (1)/x",
    "cell=a#b",
    "cell=it's",
    'cell=say "x"',
    "cell=a,b",
    "cell=é/ü",
    "cell=[x].eq",
    "save=$HOME/x",
    "name=007",
    "name=1e5",
    "name=true",
    "results_dir=a\\b",
    "results_dir=a b\\",
    "out=x~y",
    "task.penn_treebank.path=data, old/ptb",
]


def parsed(word: str):
    (setting,) = parse_words("search", [word])
    return setting


@pytest.mark.parametrize("word", PLAIN_TEXT)
def test_paths_and_names_arrive_as_typed(word):
    assert parsed(word).value == word.partition("=")[2]


UNQUOTED = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda text: text[0] not in "'\"~" and "${" not in text and text != "null"
)


@given(UNQUOTED)
def test_any_path_arrives_as_typed(text):
    assert parsed(f"cell={text}").value == text


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("seed=3", 3),
        ("gate=0.5", 0.5),
        ("time_limit_seconds=1e3", 1000.0),
        ("screen=null", None),
        ("name=null", None),
        ("task=[xml,words]", ["xml", "words"]),
        ("task=xml", ["xml"]),
        ("task=xml,words", ["xml", "words"]),
        ("founders=[gru,my cells/é.eq]", ["gru", "my cells/é.eq"]),
        ("founders=[gru,lstm:forget=2,input=-1,mut1]", ["gru", "lstm:forget=2,input=-1", "mut1"]),
        ("founders=lstm:forget=2,input=1", ["lstm:forget=2,input=1"]),
        ("search.space.learning_rates=[0.1,1e-3]", [0.1, 0.001]),
        ("search.space={num_layers: [1]}", {"num_layers": [1]}),
        ("cell='quoted already'", "quoted already"),
        ("seed=1,2", "1,2"),
        ("seed=choice(1,2)", "choice(1,2)"),
        ("a=", ""),
    ],
)
def test_numbers_lists_and_mappings_keep_their_kind(word, value):
    assert parsed(word).value == value


def test_home_is_expanded():
    assert parsed("cell=~/x.eq").value == str(Path.home() / "x.eq")
    assert parsed("founders=[gru,~/x.eq]").value == ["gru", str(Path.home() / "x.eq")]


def test_dollar_brace_in_a_path_is_no_interpolation():
    composed = compose_settings("show", parse_words("show", ["cell=${run}", "run=here"]))
    assert composed.values["cell"] == "${run}"


def test_deleting_is_left_to_hydra():
    assert parsed("~transformation.remove_node").override == "~transformation.remove_node"


@pytest.mark.parametrize("word", ["seed", "=3", "", "--fast", "two words=1", "+++a=1", "-a=1"])
def test_what_is_no_setting_is_refused(word):
    with pytest.raises(ConfigError, match="expected settings as key=value"):
        parse_words("search", [word])
