"""Another version or processor than before is said once."""

import pytest
from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan

from archsearch.run.environments import Environments
from archsearch.run.folder import RunFolder
from archsearch.run.session import Stopped, run_search
from archsearch.trials.trial import TrialResult

HERE = {"engine": "native", "cpu": "A", "torch": "2.13.0", "archsearch": "0.1.0"}


def warnings_of(*environments):
    seen = Environments()
    return [seen.see(TrialResult("ok", 0.5, environment=environment)) for environment in environments]


@pytest.mark.parametrize("name", list(HERE))
def test_each_difference_is_said_once(name):
    other = {**HERE, name: "other"}
    said = warnings_of(HERE, HERE, other, other, HERE)
    assert [bool(text) for text in said] == [False, False, True, False, False]
    assert f"{name} other instead of {HERE[name]}" in said[2]


def test_how_many_trained_together_is_no_difference():
    said = warnings_of({**HERE, "population": "5"}, {**HERE, "population": "3"}, {**HERE, "recorded_in": "first"})
    assert said == ["", "", ""]


def test_what_older_versions_did_not_record_is_no_difference():
    assert warnings_of(HERE, {**HERE, "python": "3.11"}, {}, HERE) == ["", "", "", ""]
    assert "python 3.12 instead of 3.11" in warnings_of({**HERE, "python": "3.11"}, {**HERE, "python": "3.12"})[1]


class Versioned(SimulatedEvaluator):
    """Says that it has a version of torch."""

    def __init__(self, torch, interrupt_after=None):
        super().__init__(interrupt_after)
        self._torch = torch

    def evaluate(self, trial):
        result = super().evaluate(trial)
        return TrialResult(result.status, result.value, environment={**HERE, "torch": self._torch})


def test_a_resume_with_another_torch_warns_once(tmp_path, caplog):
    plan, folder = make_plan(num_candidates=5), RunFolder.create(tmp_path, "run", "test")
    with pytest.raises(Stopped):
        run_search(plan, folder, Versioned("2.13.0", interrupt_after=100), 0, SilentObserver())
    assert caplog.text == ""
    run_search(plan, folder, Versioned("2.14.0"), 0, SilentObserver())
    assert caplog.text.count("torch 2.14.0 instead of 2.13.0") == 1
