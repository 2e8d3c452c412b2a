"""Studies are interrupted and gone on with, and leave the search alone."""

from dataclasses import replace
from pathlib import Path

import pytest
from shared_simulation import make_plan
from shared_studies import SilentStudyObserver, StudyEvaluator, confirmation_plan, noisy, simulated_run, sit_down
from shared_units import GroupingEvaluator, group

from archsearch.errors import SearchStateError
from archsearch.run.execution import Execution
from archsearch.run.folder import RunFolder
from archsearch.run.session import Stopped
from archsearch.search.evolution import Evolution
from archsearch.studies.confirm import confirm
from archsearch.studies.confirmation import judge_all
from archsearch.studies.replicates import CONFIRMING_REPLICATE, TUNING_REPLICATE
from archsearch.studies.sitting import SETTLED, open_sitting, recorded_results
from archsearch.trials.trial import TrialResult


def frame(run, path, evaluator):
    confirmed = sit_down(path, evaluator, lambda sitting: confirm(confirmation_plan(run), sitting))
    milliseconds = {contestant.cell: 1.0 for contestant in confirmed.plan.contestants}
    return judge_all(confirmed, milliseconds, "none").frame().drop(columns="training_seconds")


def test_an_interrupted_study_goes_on_where_it_was(tmp_path):
    run = simulated_run(tmp_path / "run")
    whole_evaluator = StudyEvaluator(noisy)
    whole = frame(run, tmp_path / "whole", whole_evaluator)
    seen = []
    for interrupt_after in (5, 40):
        evaluator = StudyEvaluator(noisy, interrupt_after)
        with pytest.raises(Stopped, match="every finished trial is kept"):
            frame(run, tmp_path / "parts", evaluator)
        seen += [trial.key for trial in evaluator.trials]
    evaluator = StudyEvaluator(noisy)
    assert frame(run, tmp_path / "parts", evaluator).equals(whole)
    seen += [trial.key for trial in evaluator.trials]
    assert len(seen) == len(set(seen)) == len(whole_evaluator.trials)


def test_an_interrupted_study_trains_the_same_trials_together(tmp_path):
    """Results tell in their last digits who trained with whom; what is known of a group stays as it is."""
    trials = [trial for _, trial in Evolution(make_plan()).ask()]
    whole = sit_down(tmp_path / "whole", GroupingEvaluator(tmp_path), lambda sitting: sitting.results("all", trials))
    (tmp_path / "sittings").mkdir()
    evaluator = GroupingEvaluator(tmp_path / "sittings", interrupt_after=3)
    with pytest.raises(Stopped):
        sit_down(tmp_path / "parts", evaluator, lambda sitting: sitting.results("all", trials))
    known = sit_down(
        tmp_path / "parts", StudyEvaluator(lambda _: 0.5), lambda sitting: sitting.results("one", trials[-1:])
    )
    evaluator = replace(evaluator, interrupt_after=None)
    parts = sit_down(tmp_path / "parts", evaluator, lambda sitting: sitting.results("all", trials))
    assert parts == {**whole, **known}
    assert sorted(evaluator.units) == sorted([trial.key for trial in unit] for unit in group(trials))


def test_a_finished_study_trains_nothing(tmp_path):
    run = simulated_run(tmp_path / "run")
    frame(run, tmp_path / "study", StudyEvaluator(noisy))
    again = StudyEvaluator(noisy)
    frame(run, tmp_path / "study", again)
    assert again.trials == []
    plan = confirmation_plan(run)
    assert len(recorded_results(tmp_path / "study", plan.tuning_trials())) == len(plan.tuning_trials())


class EndingEvaluator(StudyEvaluator):
    """Ends trials as it is told, and all others with the noisy value."""

    def __init__(self, ending):
        super().__init__(noisy)
        self.ending = ending

    def evaluate(self, trial):
        result = super().evaluate(trial)
        status = self.ending(trial)
        return TrialResult(status, None, error=f"{status} for a test") if status else result


def test_what_failed_is_tried_again_by_the_same_command_and_what_would_end_alike_is_not(tmp_path):
    run = simulated_run(tmp_path / "run")
    baseline, *others = (contestant.cell for contestant in confirmation_plan(run).contestants)
    failed = ("failed", "crashed", "out_of_memory", "worker_lost", "node_lost")
    ends = {
        (baseline, "first", CONFIRMING_REPLICATE): failed[0],
        **{(cell, "first", TUNING_REPLICATE): status for cell, status in zip(others, failed[1:], strict=False)},
        **{(others[0], "second", TUNING_REPLICATE + number): status for number, status in enumerate(SETTLED - {"ok"})},
    }
    broken = EndingEvaluator(lambda trial: ends.get((trial.cell, trial.task, trial.replicate)))
    found = frame(run, tmp_path / "study", broken)
    assert set(found["verdict"]) == {"baseline", "not_comparable"}
    assert found["sentence"].str.contains("1 of 3 on first (gru: 1 failed)", regex=False).any()
    again = StudyEvaluator(noisy)
    mended = frame(run, tmp_path / "study", again)
    repeated = {(trial.cell, trial.task, trial.replicate) for trial in again.trials}
    assert {place for place, status in ends.items() if status in failed} <= repeated
    assert not repeated & {place for place, status in ends.items() if status in SETTLED}
    assert (mended["verdict"] == "not_comparable").sum() == 1
    idle = StudyEvaluator(noisy)
    assert frame(run, tmp_path / "study", idle).equals(mended)
    assert idle.trials == []


def test_a_machine_on_which_every_training_fails_alike_ends_the_study(tmp_path):
    run = simulated_run(tmp_path / "run")
    broken = EndingEvaluator(lambda _: "failed")
    with pytest.raises(SearchStateError, match="the last 20 trials all failed with the same error"):
        frame(run, tmp_path / "study", broken)
    assert len(broken.trials) == 20
    frame(run, tmp_path / "study", StudyEvaluator(noisy))


def test_the_journal_of_the_search_stays_as_it_is(tmp_path):
    run = simulated_run(tmp_path / "run")
    before = (tmp_path / "run" / "archsearch.db").read_bytes()
    frame(run, tmp_path / "run" / "confirm", StudyEvaluator(noisy))
    assert (tmp_path / "run" / "archsearch.db").read_bytes() == before


def test_two_processes_never_work_on_one_study(tmp_path):
    (tmp_path / "study").mkdir()
    with (
        RunFolder(tmp_path / "study").locked(),
        pytest.raises(SearchStateError, match="another process"),
        open_sitting(tmp_path / "study", StudyEvaluator(noisy), Execution(), SilentStudyObserver(), ["archsearch"]),
    ):
        pass


def test_no_results_without_a_folder(tmp_path):
    assert recorded_results(tmp_path / "none", []) == {}


@pytest.mark.ray
def test_workers_give_the_same_table(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    run = simulated_run(tmp_path / "run")
    serial = frame(run, tmp_path / "serial", StudyEvaluator(noisy))
    with open_sitting(
        tmp_path / "ray", StudyEvaluator(noisy), Execution(workers=2), SilentStudyObserver(), ["archsearch"]
    ) as sitting:
        confirmed = confirm(confirmation_plan(run), sitting)
    milliseconds = {contestant.cell: 1.0 for contestant in confirmed.plan.contestants}
    assert judge_all(confirmed, milliseconds, "none").frame().drop(columns="training_seconds").equals(serial)
