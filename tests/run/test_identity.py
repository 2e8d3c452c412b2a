"""A run goes on as it began; what has changed is named."""

from dataclasses import replace

import pytest
from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan

from archsearch.errors import SearchStateError
from archsearch.run.folder import RunFolder
from archsearch.run.session import run_search
from archsearch.trials.trial import Recipe

CHANGES = {
    "gate": ({"gate": 0.8}, r"gate: 0\.9 → 0\.8"),
    "seed": ({"root_seed": 2}, "seed: 1 → 2"),
    "recipe": ({"recipe": Recipe(batch_size=7)}, r"recipe\.batch_size: 20 → 7"),
    "task": (
        {"tasks": (replace(make_plan().tasks[0], digest="other"), make_plan().tasks[1])},
        r"task\.first \(settings, data or code version of the task\): d1 → other",
    ),
    "space": (
        {"tasks": (replace(make_plan().tasks[0], max_steps=7), make_plan().tasks[1])},
        r"task\.first\.search\.max_steps: 100 → 7",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = RunFolder.create(tmp_path_factory.mktemp("results"), "run", "test")
    run_search(make_plan(num_candidates=1), path, SimulatedEvaluator(), 0, SilentObserver())
    return path


@pytest.mark.parametrize("change", CHANGES)
def test_what_differs_is_named_with_both_values(change, folder):
    values, said = CHANGES[change]
    evaluator = SimulatedEvaluator()
    with pytest.raises(SearchStateError, match=said) as caught:
        run_search(make_plan(num_candidates=1, **values), folder, evaluator, 0, SilentObserver())
    assert "recorded=" in str(caught.value)
    assert evaluator.keys == []


def test_the_parts_say_all_that_the_identity_says():
    """Whatever changes the one changes the other, so that a refusal can always name something."""
    plan = make_plan()
    for values, _ in CHANGES.values():
        other = make_plan(**values)
        assert other.identity != plan.identity
        assert other.parts != plan.parts
    assert make_plan(num_candidates=99).parts == plan.parts
