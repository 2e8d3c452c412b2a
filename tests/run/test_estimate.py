"""The cost said before a search starts."""

from dataclasses import replace

from shared_simulation import make_plan, simulate

from archsearch.run.estimate import cost_of_beginning_again, estimate_cost, estimate_study
from archsearch.search.jozefowicz2015 import Jozefowicz2015
from archsearch.search.strategy import Rung

SECONDS = {"memorization": 1.0, "first": 10.0, "second": 10.0}


def capped(cap, **changes):
    tasks = tuple(replace(task, num_baseline_settings=cap) for task in make_plan().tasks)
    return make_plan(tasks=tasks, **changes)


def test_no_search_runs_more_trials_than_the_most():
    for plan in (
        make_plan(num_candidates=20),
        make_plan(num_candidates=20, reevaluate_probability=0.8),
        capped(2, num_candidates=20),
        capped(7, num_candidates=20, reevaluate_probability=0.8),
    ):
        trials = simulate(plan, lambda _trial: 0.99).trials
        assert len(trials) <= estimate_cost(plan, SECONDS, 1).most_trials


def test_without_reevaluation_the_most_is_exact():
    plan = capped(5, num_candidates=20, reevaluate_probability=0.0)
    estimate = estimate_cost(plan, SECONDS, 1)
    assert len(simulate(plan, lambda _trial: 0.99).trials) == estimate.most_trials == 20 + 20 + 20 * 10
    assert estimate.founder_trials == 20
    assert estimate.most_seconds == 20 * 1.0 + (20 + 20 * 10) * 10.0


def test_reevaluations_are_counted_until_a_cell_has_had_all_settings():
    plans = [make_plan(num_candidates=20, reevaluate_probability=chance) for chance in (0.0, 0.8)]
    without, often = (estimate_cost(plan, SECONDS, 1).expected_trials for plan in plans)
    settings = sum(plans[0].num_trials(task, task.num_settings) for task in plans[0].tasks)
    passing = 20 * 0.5 ** len(plans[0].all_tasks)
    assert often - without > passing * settings, "a listed cell is looked at more than once"


def test_workers_share_the_time():
    plan = make_plan()
    alone, four = estimate_cost(plan, SECONDS, 0), estimate_cost(plan, SECONDS, 4)
    assert alone.seconds == estimate_cost(plan, SECONDS, 1).seconds == 4 * four.seconds
    assert "about" in str(alone)


def test_processors_of_a_cluster_are_not_those_of_this_machine():
    alone, cluster = (estimate_cost(make_plan(), SECONDS, workers) for workers in (1, None))
    assert cluster.seconds == alone.seconds
    assert "on this machine" in str(alone)
    assert "of one processor of the cluster" in str(cluster)
    assert "of one processor of the cluster" in str(estimate_study("ablation", {"first": 1}, {}, SECONDS, None))


def test_a_study_costs_what_is_not_kept():
    cost = estimate_study("confirmation", {"first": 10, "second": 20}, {"second": 5}, SECONDS, 2)
    assert (cost.num_trials, cost.num_recorded, cost.seconds) == (30, 5, (10 * 10 + 15 * 10) / 2)
    assert "takes 30 trials, 5 of which are kept from before, about 2 min" in str(cost)
    assert "kept" not in str(estimate_study("ablation", {"first": 1}, {}, SECONDS, 0))


def test_rungs_cost_more_where_each_begins_again():
    assert cost_of_beginning_again(make_plan()) == 1
    tasks = tuple(replace(task, num_settings=20, max_steps=1000) for task in make_plan().tasks)
    rungs = (Rung(0.2, 1.0), Rung(0.5, 0.25), Rung(1.0, 0.1))
    cost = cost_of_beginning_again(make_plan(tasks=tasks, strategy=Jozefowicz2015(rungs=rungs)))
    assert cost == (20 * 200 + 5 * 500 + 2 * 1000) / (20 * 200 + 5 * 300 + 2 * 500)
