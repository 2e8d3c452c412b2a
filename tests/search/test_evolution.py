"""The search's own rules, on searches without training."""

import random
from dataclasses import replace

import pytest
from shared_simulation import SPACE, TRANSFORMATIONS, answer, drawn_accuracy, make_plan, simulate, uniform

from archsearch.errors import ConfigError, SearchStateError
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.mutation.swap_elementwise import SwapElementwise
from archsearch.search.evolution import Evolution
from archsearch.search.knowledge import CellRecord, Knowledge
from archsearch.search.outcome import COMPLETED, EXHAUSTED, StepOutcome
from archsearch.search.plan import Founder, TaskPlan
from archsearch.trials.setting import SettingSpace
from archsearch.trials.trial import TrialResult


@pytest.fixture(scope="module")
def search():
    """One search that most tests look at."""
    return simulate(make_plan(num_candidates=60))


def folds(plan, outcomes):
    """Returns the knowledge after each step, recomputed from the outcomes alone."""
    knowledge = Knowledge(tuple(task.name for task in plan.tasks), plan.list_size)
    after = []
    for outcome in outcomes:
        knowledge = knowledge.fold(outcome)
        after.append(knowledge)
    return after


def best(record: CellRecord, task: str) -> float:
    value = record.history(task).best
    return -1.0 if value is None else value


def test_the_list_keeps_the_best_cells_met():
    """R1: the 100 best; a cell's quality on a task is its best setting so far."""
    plan = make_plan(num_candidates=80, list_size=6)
    simulated = simulate(plan)
    knowledge = simulated.evolution.knowledge
    accuracies: dict[str, dict[str, float]] = {}
    for trial in simulated.trials:
        accuracy = simulated.results[trial.key].value
        if accuracy is not None:
            by_task = accuracies.setdefault(trial.cell, {})
            by_task[trial.task] = max(by_task.get(trial.task, 0.0), accuracy)
    completed = {o.cells[0].digest for o in simulated.outcomes if o.kind == "propose" and o.stage == COMPLETED}
    completed |= set(knowledge.founders)
    baseline = accuracies[knowledge.founders[0]]
    fitness = {
        digest: min(accuracies[digest][task] / baseline[task] for task in ("first", "second")) for digest in completed
    }
    assert len(completed) > 6
    expected = sorted(fitness.items(), key=lambda item: (-item[1], item[0]))[:6]
    # a cell displaced early is never re-evaluated, so the best at the end are the best of all that completed
    assert [digest for _, digest in knowledge.listed] == [digest for digest, _ in expected]


def test_the_list_starts_with_the_founders_on_every_setting():
    """R2: LSTM and GRU are evaluated on the whole grid before anything else, and the baseline stays as it is."""
    plan = make_plan()
    simulated = simulate(plan)
    first = simulated.trials[: 2 * 2 * len(SPACE)]
    gru, lstm = (founder.graph.digest for founder in plan.founders)
    assert {(t.cell, t.task, t.setting) for t in first} == {
        (cell, task, setting) for cell in (gru, lstm) for task in ("first", "second") for setting in SPACE.all()
    }
    after = folds(plan, simulated.outcomes)
    assert [digest for _, digest in after[0].listed] in ([gru, lstm], [lstm, gru])
    assert all(knowledge.baseline == after[0].baseline for knowledge in after)


def test_a_small_budget_gives_all_founders_the_same_settings():
    """R2: with a stated number of settings, which is then the most that any cell may get."""
    tasks = tuple(replace(task, num_baseline_settings=7) for task in make_plan().tasks)
    plan = make_plan(tasks=tasks)
    simulated = simulate(plan)
    gru, lstm = (founder.graph.digest for founder in plan.founders)
    knowledge = simulated.evolution.knowledge
    for task in ("first", "second"):
        assert knowledge.cells[gru].history(task).tried == knowledge.cells[lstm].history(task).tried
        assert len(knowledge.cells[gru].history(task).tried) == 7
        assert max(len(record.history(task).tried) for record in knowledge.cells.values()) == 7


def test_fitness_is_the_least_ratio_to_the_gru():
    """R3: min over tasks of best accuracy ÷ the GRU's best."""

    def accuracy(trial):
        if trial.cell == gru:
            return {"first": 0.5, "second": 0.8}[trial.task]
        return {"first": 0.6, "second": 0.4}.get(trial.task, 1.0)

    plan = make_plan(num_candidates=1)
    gru, lstm = (founder.graph.digest for founder in plan.founders)
    knowledge = simulate(plan, accuracy).evolution.knowledge
    assert knowledge.fitness(knowledge.cells[gru]) == 1.0
    assert knowledge.fitness(knowledge.cells[lstm]) == 0.5


def test_reevaluation_gives_fresh_settings_on_every_task(search):
    """R4: a random cell of the list gets fresh settings per task; founders have none left after the whole grid."""
    plan = make_plan(num_candidates=60)
    after = folds(plan, search.outcomes)
    reevaluated = [outcome for outcome in search.outcomes if outcome.kind == "reevaluate"]
    assert len(reevaluated) > 5
    for outcome in reevaluated:
        digest = outcome.cells[0].digest
        seen = after[max(0, outcome.number - plan.lookahead)]
        assert digest in {listed for _, listed in seen.listed}
        assert digest not in seen.founders
        for task in plan.tasks:
            drawn = [entry.setting for entry in outcome.examined if entry.task == task.name]
            left = len(SPACE) - len(seen.cells[digest].history(task.name).tried)
            assert len(drawn) == min(5, left)
            assert not seen.cells[digest].history(task.name).tried & set(drawn)


def test_reevaluation_updates_the_quality(search):
    """R4: the cell's place follows its new best."""
    after = folds(make_plan(), search.outcomes)
    improved = 0
    for before, outcome, knowledge in zip(after, search.outcomes[1:], after[1:], strict=False):
        if outcome.kind == "reevaluate":
            digest = outcome.cells[0].digest
            old = before.fitness(before.cells[digest])
            new = knowledge.fitness(knowledge.cells[digest])
            assert new >= old
            improved += new > old
            assert (new, digest) in knowledge.listed
    assert improved > 0


def test_proposals_mutate_a_listed_cell(search):
    """R5: the recorded parent of every child stood on the list that its step saw."""
    plan = make_plan()
    after = folds(plan, search.outcomes)
    parents = set()
    for outcome in search.outcomes:
        if outcome.kind == "propose":
            seen = after[max(0, outcome.number - plan.lookahead)]
            parent = outcome.cells[0].parent
            assert parent in {digest for _, digest in seen.listed}
            assert 1 <= len(outcome.cells[0].transformations) <= 3
            parents.add(parent)
    assert len(parents) > 4


def test_memorization_screens_with_one_setting(search):
    """R6: one random setting; below 95 % the candidate is discarded and gets nothing else."""
    fallen = passed = 0
    for outcome in search.outcomes:
        if outcome.kind == "propose":
            screening = [entry for entry in outcome.examined if entry.task == "memorization"]
            assert len(screening) == 1
            accuracy = screening[0].result.value
            if accuracy is None or accuracy < 0.95:
                assert outcome.stage == "memorization"
                assert len(outcome.examined) == 1
                fallen += 1
            else:
                assert len(outcome.examined) > 1
                passed += 1
    assert fallen > 5
    assert passed > 5


def test_exactly_95_percent_passes_memorization():
    """R6: below 95 % is discarded, 95 % is not."""
    simulated = simulate(make_plan(num_candidates=5), lambda _trial: 0.95)
    assert {outcome.stage for outcome in simulated.outcomes if outcome.kind == "propose"} == {COMPLETED}


def test_gates_stand_after_every_task(search):
    """R7: on to the next task only if the best exceeds 90 % of the GRU's best; the last task has a gate, too."""
    plan = make_plan()
    baseline = search.evolution.knowledge.baseline
    fell = {"first": 0, "second": 0, COMPLETED: 0}
    for outcome in search.outcomes:
        if outcome.kind != "propose" or outcome.stage == "memorization":
            continue
        fell[outcome.stage] += 1
        for task in plan.tasks:
            accuracies = [e.result.value for e in outcome.examined if e.task == task.name]
            assert len(accuracies) == task.num_settings
            passes = max((a for a in accuracies if a is not None), default=-1.0) > 0.9 * baseline[task.name]
            if not passes:
                assert outcome.stage == task.name
                break
        else:
            assert outcome.stage == COMPLETED
    assert all(fell.values()), fell


def test_exactly_the_gate_does_not_pass():
    """R7: the best must *exceed* 90 % of the GRU's."""

    def accuracy(trial):
        return 1.0 if trial.task == "memorization" or trial.cell in founders else 0.9

    plan = make_plan(num_candidates=3)
    founders = {founder.graph.digest for founder in plan.founders}
    stages = [outcome.stage for outcome in simulate(plan, accuracy).outcomes if outcome.kind == "propose"]
    assert stages == ["first"] * 3


def test_a_cell_that_fell_is_not_listed(search):
    """R7: only a cell that passed every gate may enter the list."""
    fell = {o.cells[0].digest for o in search.outcomes if o.kind == "propose" and o.stage != COMPLETED}
    listed = {digest for _, digest in search.evolution.knowledge.listed}
    assert fell
    assert not fell & listed


@pytest.mark.parametrize("on_duplicate", ["redraw", "reexamine"])
def test_no_setting_is_run_twice(on_duplicate):
    """R8: a setting already run for a cell and task is never run again."""
    simulated = simulate(make_plan(num_candidates=60, on_duplicate=on_duplicate))
    runs = [(trial.cell, trial.task, trial.setting) for trial in simulated.trials]
    assert len(set(runs)) == len(runs)


def test_redraw_never_proposes_a_known_cell():
    """R8, our default: a known child is drawn again, and the journal says so."""
    search = simulate(make_plan(num_candidates=40, transformations=(SwapElementwise(),)))
    proposed = [outcome.cells[0].digest for outcome in search.outcomes if outcome.kind == "propose"]
    assert len(set(proposed)) == len(proposed)
    reasons = {reason for outcome in search.outcomes for _, reason in outcome.dropped}
    assert "known" in reasons


def reexamined_cells(accuracy):
    """Returns a search that re-examines, with the outcomes of cells met again."""
    plan = make_plan(
        num_candidates=150, on_duplicate="reexamine", reevaluate_probability=0.0, transformations=(SwapElementwise(),)
    )
    simulated = simulate(plan, accuracy)
    seen: dict[str, StepOutcome] = {}
    again = []
    for outcome in simulated.outcomes[1:]:
        digest = outcome.cells[0].digest
        if digest in seen:
            again.append((seen[digest], outcome))
        seen[digest] = outcome
    return plan, simulated, again


def test_a_discarded_cell_met_again_memorizes_with_another_setting():
    """R6: it may be met again, but never with a setting it already had."""
    _, _, again = reexamined_cells(drawn_accuracy)
    discarded = [(old, new) for old, new in again if old.stage == "memorization"]
    assert discarded
    for old, new in discarded:
        assert new.examined[0].task == "memorization"
        assert new.examined[0].setting != old.examined[0].setting


def test_a_cell_met_again_skips_memorization():
    """R8: cells that did not make the list keep their results, skip memorization and get only fresh settings."""
    _, simulated, again = reexamined_cells(drawn_accuracy)
    fell = [(old, new) for old, new in again if old.stage in {"first", "second"}]
    assert fell
    for old, new in fell:
        assert all(entry.task != "memorization" for entry in new.examined)
        tried = {
            (e.task, e.setting)
            for o in simulated.outcomes[: new.number]
            for e in o.examined
            if e.cell == new.cells[0].digest
        }
        assert not tried & {(entry.task, entry.setting) for entry in new.examined}
        assert new.cells[0].parent == old.cells[0].parent


def test_a_founder_met_again_is_not_screened():
    """R2, R8: it has had all settings of every task, whatever memorization would say of it."""
    texts = {"sum": "h' = tanh(linear(x) + linear(h))", "product": "h' = tanh(linear(x) * linear(h))"}
    founders = tuple(Founder(name, CellGraph.from_equations(text).canonical()) for name, text in texts.items())
    plan = make_plan(
        num_candidates=10,
        founders=founders,
        on_duplicate="reexamine",
        reevaluate_probability=0.0,
        transformations=(SwapElementwise(),),
    )
    simulated = simulate(plan, lambda trial: 0.1 if trial.task == "memorization" else 0.5)
    digests = {founder.graph.digest for founder in founders}
    dropped = [pair for outcome in simulated.outcomes for pair in outcome.dropped]
    assert {(digest, EXHAUSTED) for digest in digests} <= set(dropped)
    assert not digests & {trial.cell for trial in simulated.trials if trial.task == "memorization"}


def test_the_gate_counts_a_cells_earlier_results():
    """R1, R8: a cell met again passes a gate by its best ever, fresh or not."""

    def accuracy(trial):
        if trial.task == "memorization" or trial.cell in founders:
            return 1.0
        if trial.task == "first":
            return 0.95 if uniform("lucky", trial.key) < 0.1 else 0.1
        return 0.1

    founders = {founder.graph.digest for founder in make_plan().founders}
    _, _, again = reexamined_cells(accuracy)
    at_second = [new for old, new in again if old.stage == "second"]
    assert at_second
    for new in at_second:
        assert new.stage == "second"
        assert any(entry.task == "second" for entry in new.examined)


@pytest.mark.parametrize("at_once", [1, 2, 4, 64])
def test_the_order_of_arrival_changes_nothing(at_once):
    """The same seed gives the same steps whatever the number of workers and whatever ends first."""
    plan = make_plan(num_candidates=40, on_duplicate="reexamine")
    expected = simulate(plan)
    for seed in range(3):
        simulated = simulate(plan, order=random.Random(seed), at_once=at_once)
        assert simulated.records == expected.records
        assert simulated.evolution.knowledge.listed == expected.evolution.knowledge.listed


def test_another_seed_gives_another_search():
    assert simulate(make_plan(root_seed=2)).records[1:] != simulate(make_plan(root_seed=1)).records[1:]


def test_extending_keeps_the_prefix():
    """More candidates: the steps so far are the same."""
    short, long = simulate(make_plan(num_candidates=15)), simulate(make_plan(num_candidates=30))
    assert long.records[: len(short.records)] == short.records
    assert sum(record["kind"] == "propose" for record in short.records) == 15


@pytest.mark.parametrize("lookahead", [1, 3, 8])
def test_a_step_sees_the_world_as_it_stood_lookahead_steps_before(lookahead):
    """Step k is begun from the fold of the steps up to k − lookahead, with the cells since then held in flight."""
    from archsearch.search.steps import begin_step

    plan = make_plan(num_candidates=25, lookahead=lookahead)
    simulated = simulate(plan, order=random.Random(0), at_once=5)
    after = folds(plan, simulated.outcomes)
    for outcome in simulated.outcomes[1:]:
        k = outcome.number
        between = simulated.outcomes[max(1, k - lookahead + 1) : k]
        in_flight = frozenset(cell.digest for o in between for cell in o.cells)
        started = begin_step(plan, k, after[max(0, k - lookahead)], in_flight)
        assert started.kind == outcome.kind
        assert started.digest == outcome.cells[0].digest
        assert started.digest not in in_flight


def test_at_most_lookahead_steps_are_in_flight():
    plan = make_plan(lookahead=3, screen=None, tasks=make_plan().tasks[:1])
    evolution = Evolution(plan)
    for _, trial in evolution.ask():
        evolution.tell(trial.key, answer(trial))
    assert len({step for step, _ in evolution.ask()}) == 3


def test_a_step_that_finds_nothing_new_counts_as_a_candidate():
    """`budget.candidates` counts propose steps started, also one that found nothing new."""
    plan = make_plan(bounds=replace(make_plan().bounds, max_nodes=1), num_candidates=3, max_draws=5)
    simulated = simulate(plan)
    assert [outcome.stage for outcome in simulated.outcomes[1:]] == ["nothing_new"] * 3
    assert all(len(outcome.dropped) == 5 for outcome in simulated.outcomes[1:])


def test_a_baseline_that_fails_stops_the_search():
    with pytest.raises(SearchStateError, match="baseline 'gru', task 'first'"):
        simulate(make_plan(), lambda _trial: None)


@pytest.mark.parametrize(("value", "cause"), [(None, "diverged"), (0.0, "accuracy 0")])
def test_a_baseline_that_fails_on_one_task_alone_stops_the_search_as_well(value, cause):
    """Other founders have results on the task, the baseline has them on the other one: nothing is divided by these."""
    gru = zoo_cell("gru").digest

    def accuracy(trial):
        return value if (trial.cell, trial.task) == (gru, "second") else drawn_accuracy(trial)

    message = f"baseline 'gru', task 'second': .* of 36 settings, got none; 36 of them: {cause}"
    with pytest.raises(SearchStateError, match=message):
        simulate(make_plan(), accuracy)


def test_a_result_nobody_waits_for_is_refused():
    evolution = Evolution(make_plan())
    with pytest.raises(SearchStateError, match="no step waits for it"):
        evolution.tell("nonsense", TrialResult("ok", 0.5))


def test_plans_that_cannot_work_are_refused():
    for changes, message in (
        ({"num_candidates": 0}, "num_candidates must be at least 1, got 0"),
        ({"founders": ()}, "founders"),
        ({"founders": make_plan().founders[:1] * 2}, "the same cell"),
        ({"tasks": ()}, "needs at least one task"),
        ({"gate": 1.5}, "gate must lie between 0 and 1"),
        ({"tasks": make_plan().tasks[:1] * 2}, "stands twice"),
    ):
        with pytest.raises(ConfigError, match=message):
            make_plan(**changes)
    with pytest.raises(ConfigError, match="setting space is empty"):
        TaskPlan("t", "d", SettingSpace((), (0.1,), (1.0,), (1,), (1,)), 1, 1)


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_a_search_goes_on_where_a_cell_has_no_child(transformation):
    """Any one transformation alone makes a search: a parent without a child is not drawn again in its step."""
    for seed in range(3):
        plan = make_plan(root_seed=seed, transformations=(transformation,), num_candidates=8, max_draws=30)
        assert sum(outcome.kind == "propose" for outcome in simulate(plan).outcomes) == 8


def test_settings_that_differ_in_the_tenth_digit_have_keys_of_their_own():
    setting = SPACE.all()[0]
    keys = {replace(setting, learning_rate=rate).key for rate in (0.5, 0.1234567891, 0.1234567892)}
    assert len(keys) == 3
    assert setting.key == "s0.7-lr0.2-g1-l1-p1000"
