"""What mattered in a cell, and what is offered."""

import pytest
from shared_simulation import uniform
from shared_studies import StudyEvaluator, sit_down

from archsearch.errors import SearchStateError
from archsearch.graph.catalog import zoo_cell
from archsearch.studies.ablate import AblationPlan, ablate, size_of
from archsearch.studies.replicates import ABLATING_REPLICATE
from archsearch.studies.simplifications import simplify
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe, Trial

GRU = zoo_cell("gru").canonical()
SIMPLER = simplify(GRU)


def plan(num_seeds: int = 4) -> AblationPlan:
    setting = Setting(1.0, 0.5, 5.0, 1, 1000)
    trials = tuple(Trial(GRU.digest, GRU, task, "d", Recipe(), setting, 0, 100, 1) for task in ("a", "b"))
    return AblationPlan(trials, SIMPLER, num_seeds, 0.95, 0.02)


def level(factors: dict[str, float], noise: float = 0.001):
    return lambda trial: factors.get(trial.cell, 0.9) * (0.5 + noise * uniform("noise", trial.key))


def test_what_mattered_comes_first_and_what_loses_nothing_is_offered(tmp_path):
    nothing = next(each.graph for each in SIMPLER if size_of(each.graph) < size_of(GRU))
    vital = next(each.graph for each in SIMPLER if each.graph != nothing)
    evaluator = StudyEvaluator(level({GRU.digest: 1.0, nothing.digest: 1.0, vital.digest: 0.5}))
    ablation = sit_down(tmp_path / "ablate", evaluator, lambda sitting: ablate(plan(), sitting))
    assert ablation.rows[0].simplification.graph == vital
    assert ablation.rows[-1].simplification.graph == nothing
    assert {row.effect for row in ablation.rows[:-1]} == {"matters"}
    offered = ablation.offered()
    assert offered is not None
    assert (offered.simplification.graph, offered.effect) == (nothing, "loses nothing")
    assert list(ablation.frame()["ratio"]) == sorted(ablation.frame()["ratio"])


def test_all_train_alike_on_replicates_of_their_own(tmp_path):
    evaluator = StudyEvaluator(level({}))
    sit_down(tmp_path / "ablate", evaluator, lambda sitting: ablate(plan(), sitting))
    assert len(evaluator.trials) == sum(plan().num_trials().values()) == 2 * 4 * (1 + len(SIMPLER))
    assert {trial.setting for trial in evaluator.trials} == {plan().trials[0].setting}
    assert {trial.replicate for trial in evaluator.trials} == {ABLATING_REPLICATE + seed for seed in range(4)}


def test_nothing_is_offered_where_every_part_matters(tmp_path):
    evaluator = StudyEvaluator(level({GRU.digest: 1.0}))
    assert sit_down(tmp_path / "ablate", evaluator, lambda sitting: ablate(plan(), sitting)).offered() is None


def test_noise_settles_nothing(tmp_path):
    evaluator = StudyEvaluator(level({GRU.digest: 0.9}, noise=0.2))
    ablation = sit_down(tmp_path / "ablate", evaluator, lambda sitting: ablate(plan(2), sitting))
    assert {row.effect for row in ablation.rows} == {"not settled"}
    offered = ablation.offered()
    assert offered is None or offered.effect == "not settled"


def test_a_simplification_that_cannot_be_trained_is_told(tmp_path):
    broken = SIMPLER[3].graph.digest
    evaluator = StudyEvaluator(lambda trial: None if trial.cell == broken else level({})(trial))
    ablation = sit_down(tmp_path / "ablate", evaluator, lambda sitting: ablate(plan(), sitting))
    assert [row.simplification.graph.digest for row in ablation.rows if row.effect == "failed"] == [broken]
    assert ablation.frame().iloc[0]["cell"] == broken


def test_the_whole_cell_must_be_trainable(tmp_path):
    evaluator = StudyEvaluator(lambda trial: None if trial.cell == GRU.digest else 0.5)
    with pytest.raises(SearchStateError, match="of the whole cell on every seed"):
        sit_down(tmp_path / "ablate", evaluator, lambda sitting: ablate(plan(), sitting))
