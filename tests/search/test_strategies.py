"""What holds for every strategy, and each one's own rules, on searches without training."""

import random
from dataclasses import replace

import pytest
from shared_simulation import make_plan, simulate, uniform
from shared_strategies import CHANGES, RUNGS

from archsearch.errors import ConfigError
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cost import count_multiply_adds, count_parameters
from archsearch.search.cost_penalty import CostPenalty
from archsearch.search.jozefowicz2015 import Jozefowicz2015
from archsearch.search.knowledge import Knowledge
from archsearch.search.leaderboard import leaderboard_rows
from archsearch.search.outcome import COMPLETED
from archsearch.search.random_mutation import RandomMutation
from archsearch.search.regularized_evolution import RegularizedEvolution
from archsearch.search.strategy import Rung

every_strategy = pytest.mark.parametrize("name", CHANGES)


def growing(trial):
    """Accuracies that grow with the steps of a trial, at a level of the cell and the setting."""
    if trial.task == "memorization":
        return 1.0
    level = 0.5 + 0.3 * uniform(trial.cell, trial.task) + 0.2 * uniform(trial.cell, trial.task, trial.setting.key)
    return level * trial.max_steps / (trial.max_steps + 20)


def folds(plan, outcomes):
    knowledge = Knowledge(("first", "second"), plan.list_size, plan.strategy.population_size, plan.penalty)
    after = []
    for outcome in outcomes:
        knowledge = knowledge.fold(outcome)
        after.append(knowledge)
    return after


def with_what_was_seen(plan, outcomes):
    """Yields each step after the founders', and the knowledge that it was drawn from."""
    after = folds(plan, outcomes)
    for outcome in outcomes[1:]:
        yield outcome, after[max(0, outcome.number - plan.lookahead)]


@every_strategy
@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_the_order_of_arrival_changes_nothing(name, at_once):
    plan = make_plan(num_candidates=25, **CHANGES[name])
    expected = simulate(plan)
    simulated = simulate(plan, order=random.Random(at_once), at_once=at_once)
    assert simulated.records == expected.records
    assert simulated.evolution.knowledge == expected.evolution.knowledge


@every_strategy
def test_extending_keeps_the_prefix(name):
    short, long = (simulate(make_plan(num_candidates=count, **CHANGES[name])) for count in (10, 20))
    assert long.records[: len(short.records)] == short.records


@every_strategy
def test_a_step_sees_the_world_as_it_stood_lookahead_steps_before(name):
    from archsearch.search.steps import begin_step

    plan = make_plan(num_candidates=20, lookahead=3, **CHANGES[name])
    simulated = simulate(plan, order=random.Random(0), at_once=5)
    after = folds(plan, simulated.outcomes)
    for outcome in simulated.outcomes[1:]:
        k = outcome.number
        in_flight = frozenset(cell.digest for o in simulated.outcomes[max(1, k - 2) : k] for cell in o.cells)
        started = begin_step(plan, k, after[max(0, k - 3)], in_flight)
        assert (started.kind, started.digest) == (outcome.kind, outcome.cells[0].digest)


@every_strategy
def test_another_strategy_is_another_plan(name):
    identities = [make_plan(**changes).identity for changes in CHANGES.values()]
    assert len(set(identities)) == len(CHANGES)
    assert make_plan(**CHANGES[name]).identity == make_plan(**CHANGES[name]).identity


def test_runs_from_before_there_was_a_choice_can_be_continued():
    """The identity of the paper's strategy, as it was computed when there was no other."""
    assert make_plan().identity == "2c420cafbfc91d6a"


# Successive halving


def test_halving_trains_all_settings_shortly_and_the_best_to_the_end():
    plan = make_plan(num_candidates=15, strategy=Jozefowicz2015(rungs=RUNGS))
    simulated = simulate(plan, growing)
    for outcome in simulated.outcomes:
        for cell in outcome.cells:
            for task in plan.tasks:
                own = [e for e in outcome.examined if (e.cell, e.task) == (cell.digest, task.name)]
                by_steps = {steps: [e for e in own if e.max_steps == steps] for steps in (10, 40, 100)}
                whole = len(by_steps[10])
                if not whole:
                    continue
                assert sum(map(len, by_steps.values())) == len(own)
                for shorter, longer, share in ((10, 40, 0.5), (40, 100, 0.25)):
                    ahead = [entry.setting for entry in by_steps[longer]]
                    if not ahead:
                        assert outcome.stage == task.name  # it fell at the rung's gate
                        break
                    assert len(ahead) == -(-whole * share // 1)
                    ranked = sorted(by_steps[shorter], key=lambda e: (-e.result.value, e.setting))
                    assert set(ahead) == {entry.setting for entry in ranked[: len(ahead)]}


def test_a_rungs_trial_is_the_same_trial_with_more_steps():
    simulated = simulate(make_plan(num_candidates=5, strategy=Jozefowicz2015(rungs=RUNGS)), growing)
    whole = [trial for trial in simulated.trials if trial.max_steps == 100 and trial.task != "memorization"]
    assert whole
    for trial in whole:
        for steps in (10, 40):
            assert replace(trial, max_steps=steps).key in simulated.results


def test_the_screen_is_not_halved():
    simulated = simulate(make_plan(num_candidates=5, strategy=Jozefowicz2015(rungs=RUNGS)), growing)
    assert {trial.max_steps for trial in simulated.trials if trial.task == "memorization"} == {100}


def test_halving_finds_the_same_best_with_a_third_of_the_steps_where_short_trainings_tell():
    """With curves that never cross, the best of a grid is the best of its first rung."""
    full, halved = make_plan(num_candidates=1), make_plan(num_candidates=1, strategy=Jozefowicz2015(rungs=RUNGS))
    bests, steps = [], []
    for plan in (full, halved):
        simulated = simulate(plan, growing)
        gru = simulated.evolution.knowledge.cells[plan.baseline.graph.digest]
        bests.append([gru.history(task.name).ranked()[0] for task in plan.tasks])
        founders = {founder.graph.digest for founder in plan.founders}
        longest: dict[str, int] = {}
        for trial in simulated.trials:
            if trial.cell in founders:
                family = replace(trial, max_steps=1).key
                longest[family] = max(longest.get(family, 0), trial.max_steps)
        steps.append(sum(longest.values()))
    assert bests[0] == bests[1]
    assert steps[1] < 0.45 * steps[0]


def test_a_rungs_gate_compares_with_the_baseline_at_the_same_rung():
    """Exactly the share does not exceed it; a re-evaluated cell and the founders have no gate."""

    def accuracy(share):
        def of(trial):
            if trial.task == "memorization":
                return 1.0
            return 0.01 * trial.max_steps * (1.0 if trial.cell in founders else share)

        return of

    rungs = (Rung(0.1, 1.0, gate=0.5), Rung(1.0, 0.2))
    plan = make_plan(num_candidates=4, gate=0.25, strategy=Jozefowicz2015(rungs=rungs), reevaluate_probability=0.0)
    founders = {founder.graph.digest for founder in plan.founders}
    for share, stage, trials in ((0.5, "first", 1 + 5), (0.51, COMPLETED, 1 + 2 * (5 + 1))):
        outcomes = simulate(plan, accuracy(share)).outcomes[1:]
        assert {outcome.stage for outcome in outcomes} == {stage}
        assert {len(outcome.examined) for outcome in outcomes} == {trials}


def test_settings_that_failed_do_not_go_on():
    def accuracy(trial):
        return None if trial.setting.num_layers == 2 else growing(trial)

    plan = make_plan(num_candidates=2, strategy=Jozefowicz2015(rungs=(Rung(0.1, 1.0), Rung(1.0, 1.0))))
    simulated = simulate(plan, accuracy)
    long = [trial for trial in simulated.trials if trial.max_steps == 100 and trial.task != "memorization"]
    assert {trial.setting.num_layers for trial in long} == {1}


@pytest.mark.parametrize(
    "rungs",
    [
        ({"steps": 0.5, "settings": 1.0},),
        ({"steps": 0.5, "settings": 0.5}, {"steps": 1.0, "settings": 0.5}),
        ({"steps": 0.5, "settings": 1.0}, {"steps": 0.5, "settings": 0.5}, {"steps": 1.0, "settings": 0.5}),
        ({"steps": 1.0, "settings": 1.0, "gates": 1.0},),
        ({"steps": 0.0, "settings": 1.0},),
        ("all",),
    ],
)
def test_rungs_that_cannot_work_are_refused(rungs):
    with pytest.raises(ConfigError, match=r"strategy\.rungs"):
        Jozefowicz2015(rungs=rungs)


def test_rungs_of_equal_steps_are_refused():
    with pytest.raises(ConfigError, match="equally many training steps"):
        make_plan(strategy=Jozefowicz2015(rungs=(Rung(0.001, 1.0), Rung(0.002, 1.0), Rung(1.0, 1.0))))


# Regularized evolution


def test_the_population_holds_the_cells_that_completed_last():
    plan = make_plan(num_candidates=60, strategy=RegularizedEvolution(population=5, sample=3))
    simulated = simulate(plan)
    completed = list(simulated.evolution.knowledge.founders)
    dead = set()
    for outcome, knowledge in zip(simulated.outcomes, folds(plan, simulated.outcomes), strict=True):
        if outcome.kind == "propose" and outcome.stage == COMPLETED:
            completed.append(outcome.cells[0].digest)
        assert [digest for digest, _ in knowledge.population] == completed[-5:]
        dead |= set(completed[:-5]) & {digest for _, digest in knowledge.listed}
    assert dead, "old cells stay on the list, and only there"


def test_the_best_of_a_sample_is_the_parent():
    plan = make_plan(num_candidates=60, strategy=RegularizedEvolution(population=5, sample=200))
    simulated = simulate(plan)
    parents = set()
    for outcome, seen in with_what_was_seen(plan, simulated.outcomes):
        alive = [seen.cells[digest] for digest, _ in seen.population]
        best = max(alive, key=lambda record: (seen.fitness(record), record.digest))
        assert outcome.kind == "propose"
        assert outcome.cells[0].parent == best.digest
        parents.add(best.digest)
    assert len(parents) > 3


def test_a_sample_of_one_is_no_selection():
    plan = make_plan(num_candidates=60, strategy=RegularizedEvolution(population=5, sample=1))
    simulated = simulate(plan)
    ranks = set()
    for outcome, seen in with_what_was_seen(plan, simulated.outcomes):
        alive = sorted((seen.cells[digest] for digest, _ in seen.population), key=seen.standing)
        ranks.add([record.digest for record in alive].index(outcome.cells[0].parent))
    assert ranks == {0, 1, 2, 3, 4}


# Random mutation


def test_what_random_mutation_proposes_depends_on_no_result():
    plan = make_plan(num_candidates=40, strategy=RandomMutation(depth=4))
    searches = [simulate(plan), simulate(plan, lambda _trial: 0.01), simulate(plan, lambda trial: uniform(trial.key))]
    proposed = [[outcome.cells[0].digest for outcome in search.outcomes[1:]] for search in searches]
    assert proposed[0] == proposed[1] == proposed[2]
    assert len(set(proposed[0])) == 40


def test_walks_begin_at_founders_and_have_every_length():
    plan = make_plan(num_candidates=80, strategy=RandomMutation(depth=3))
    simulated = simulate(plan)
    parents = {outcome.cells[0].parent for outcome in simulated.outcomes[1:]}
    assert parents == set(simulated.evolution.knowledge.founders)
    lengths = {len(outcome.cells[0].transformations) for outcome in simulated.outcomes[1:]}
    assert min(lengths) == 1
    assert max(lengths) > 3, "one mutation is 1 to 3 transformations"
    shallow = simulate(make_plan(num_candidates=80, strategy=RandomMutation(depth=1)))
    assert max(len(outcome.cells[0].transformations) for outcome in shallow.outcomes[1:]) <= 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomMutation(depth=0),
        lambda: RegularizedEvolution(population=0),
        lambda: RegularizedEvolution(sample=0),
    ],
)
def test_numbers_that_cannot_work_are_refused(make):
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        make()


# The cost penalty


def test_the_penalty_ranks_and_leaves_fitness_alone():
    plain, plan = make_plan(num_candidates=50), make_plan(num_candidates=50, **CHANGES["penalty"])
    knowledge = simulate(plan).evolution.knowledge
    gru = zoo_cell("gru").canonical().structure
    rows = leaderboard_rows(knowledge)
    standings = []
    for row in rows:
        record = knowledge.cells[row.cell]
        cell = knowledge.graphs[row.cell].structure
        parameters = count_parameters(cell, 128, 128) / count_parameters(gru, 128, 128)
        multiply_adds = count_multiply_adds(cell, 128, 128) / count_multiply_adds(gru, 128, 128)
        assert row.fitness == min(row.ratios.values())
        standings.append(row.fitness * parameters**-0.2 * multiply_adds**-0.3)
        assert knowledge.standing(record) == pytest.approx(standings[-1])
    assert standings == pytest.approx(sorted(standings, reverse=True))
    assert [row.fitness for row in rows] != sorted((row.fitness for row in rows), reverse=True)
    assert knowledge.baseline == simulate(plain).evolution.knowledge.baseline


def test_exponents_below_zero_are_refused():
    with pytest.raises(ConfigError, match="at least 0"):
        CostPenalty(parameters=-0.1)
