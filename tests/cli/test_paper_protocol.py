"""The experiment `jozefowicz2015` says what the paper says."""

from dataclasses import fields

from archsearch.cli.composition import compose_settings
from archsearch.cli.planning import read_recipe
from archsearch.cli.run_configuration import settle
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe


def paper_values():
    typed = parse_words("search", ["experiment=jozefowicz2015"])
    return settle(compose_settings("search", typed), typed)


def test_every_number_of_the_paper_stands_in_the_experiment():
    """R1, R4, R6, R7, R9, R20-R25: the values that the paper gives."""
    values = paper_values()
    assert list(values["task"]) == ["arithmetic", "xml", "penn_treebank"]
    assert (values["list_size"], values["gate"], values["screen"]["accuracy"]) == (100, 0.9, 0.95)
    assert values["budget"]["candidates"] == 10_000
    assert values["on_duplicate"] == "reexamine"
    assert values["inheritance"]["well_explored"] == 421
    sizes = {}
    for name, task in values["task"].items():
        search, space = task["search"], task["search"]["space"]
        assert (search["num_settings"], search["num_baseline_settings"]) == (20, None)
        assert space["init_scales"] == [0.3, 0.7, 1.0, 1.4, 2.0, 2.8]
        assert space["learning_rates"] == [0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0]
        assert space["max_gradient_norms"] == [1.0, 2.5, 5.0, 10.0, 20.0]
        assert space["num_layers"] == [1, 2, 3, 4]
        sizes[name] = 840 * len(space["max_parameters"])
    assert sizes == {"arithmetic": 1680, "xml": 1680, "penn_treebank": 840}
    assert values["task"]["penn_treebank"]["search"]["space"]["max_parameters"] == [5_000_000]
    assert values["screen"]["search"]["num_settings"] == 1


def test_trials_train_as_the_paper_says():
    """R27, R29: minibatch 20, unrolled for 35 steps; 3 epochs of patience, 4 halvings."""
    assert read_recipe(Section(paper_values()).section("recipe")) == Recipe(20, 35, 3, 4, "float32")


def test_neither_dropout_nor_a_forget_bias_is_searched():
    """R26: a setting has the five coordinates of the paper, and the founders' biases start at zero."""
    assert [field.name for field in fields(Setting)] == [
        *("init_scale", "learning_rate", "max_gradient_norm", "num_layers", "max_parameters"),
    ]
    founders = " ".join(str(entry) for entry in paper_values()["founders"])
    assert "bias_init" not in founders
    assert "dropout" not in str(paper_values())
