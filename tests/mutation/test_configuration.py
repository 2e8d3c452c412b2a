"""The configuration group `transformation`: what it composes to, and that all of it can be built."""

from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.utils import get_class, instantiate

from archsearch.mutation.transformation import Transformation

PAPER = {
    "swap_activation",
    "swap_elementwise",
    "insert_activation",
    "remove_node",
    "replace_by_ancestor",
    "combine_ancestors",
}


def composed(*overrides: str):
    with initialize_config_module("archsearch.conf", version_base="1.3"):
        return compose(overrides=list(overrides)).transformation


def test_paper_composes_the_six_under_their_names():
    """R12, R14-R18: the transformations of the paper, equally weighted."""
    assert set(composed("+transformation=paper")) == PAPER


def test_every_target_is_a_transformation_and_builds_under_its_own_name():
    options = {path.stem for path in (Path(__file__).parents[2] / "conf" / "transformation").glob("*.yaml")} - {"paper"}
    for name, configuration in composed(f"+transformation=[{','.join(sorted(options))}]").items():
        assert issubclass(get_class(configuration["_target_"]), Transformation)
        assert instantiate(configuration).name == name


def test_yaml_says_what_the_class_defaults_to():
    for configuration in composed("+transformation=paper").values():
        assert instantiate(configuration) == get_class(configuration["_target_"])()


def test_one_is_switched_off_from_the_command_line():
    configuration = composed("+transformation=paper", "transformation.swap_activation.weight=0")
    assert instantiate(configuration.swap_activation).weight == 0
    assert instantiate(configuration.remove_node).weight == 1


def test_fields_are_set_from_the_command_line():
    configuration = composed("+transformation=paper", "transformation.insert_activation.activations=[relu]")
    assert instantiate(configuration.insert_activation).activations == ("relu",)
