"""Equal tuning, fresh seeds, test data; and what the table says."""

import io
import json
from collections import Counter, defaultdict
from dataclasses import replace

import pandas as pd
import pytest
from shared_studies import PLAN, StudyEvaluator, confirmation_plan, noisy, simulated_run, sit_down

from archsearch.errors import FileFormatError, SearchStateError
from archsearch.graph.catalog import zoo_cell
from archsearch.run.reading import load_run
from archsearch.search.plan import Founder
from archsearch.studies.confirm import confirm
from archsearch.studies.confirmation import judge_all
from archsearch.studies.contestants import choose_contestants
from archsearch.studies.replicates import CONFIRMING_REPLICATE, TUNING_REPLICATE
from archsearch.studies.sentences import sentence_of
from archsearch.studies.verdicts import judge

GRU = zoo_cell("gru").digest


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return simulated_run(tmp_path_factory.mktemp("studies") / "run")


def confirmed(run, path, value=noisy, **sizes):
    plan = confirmation_plan(run, **sizes)
    evaluator = StudyEvaluator(value)
    found = sit_down(path / "study", evaluator, lambda sitting: confirm(plan, sitting))
    milliseconds = {contestant.cell: 1.0 + number for number, contestant in enumerate(plan.contestants)}
    return judge_all(found, milliseconds, "none"), evaluator


def test_contestants_are_the_baseline_the_known_cells_and_the_best_found(run):
    contestants = choose_contestants(run, PLAN.baseline, 3)
    assert [contestant.name for contestant in contestants[:4]] == ["gru", "lstm", "lstm_b", "tanh"]
    found = [digest for _, digest in run.knowledge.listed if digest not in run.knowledge.founders]
    assert [contestant.cell for contestant in contestants[4:]] == found[:3]
    assert [contestant.role for contestant in contestants] == ["baseline"] * 4 + ["finalist"] * 3
    assert len({contestant.cell for contestant in contestants}) == len(contestants)
    assert confirmation_plan(run, top=2).num_finalists == 2


def test_other_cells_are_trained_beside_them_if_they_are_named(run, tmp_path):
    (tmp_path / "mine.eq").write_text("h' = tanh(linear(x, h)) * 0.5", encoding="utf-8")
    contestants = choose_contestants(run, PLAN.baseline, 2, ["lstm_torch", str(tmp_path / "mine.eq")])
    assert [contestant.name for contestant in contestants[:3]] == ["gru", "lstm_torch", "mine"]
    assert [contestant.role for contestant in contestants] == ["baseline"] * 3 + ["finalist"] * 2
    alone = choose_contestants(run, PLAN.baseline, 100, [])
    assert [contestant.name for contestant in alone[:1]] == ["gru"]
    known = {zoo_cell(name).digest for name in ("gru", "lstm", "lstm_b", "tanh")}
    assert len(alone) > 3
    assert known.isdisjoint(contestant.cell for contestant in alone[1:])


def test_the_runs_own_baseline_is_compared_with(run):
    mut1 = Founder("mut1", zoo_cell("mut1").canonical())
    contestants = choose_contestants(run, mut1, 1)
    assert [contestant.name for contestant in contestants[:5]] == ["mut1", "gru", "lstm", "lstm_b", "tanh"]


def test_every_cell_is_tuned_with_the_same_settings_drawn_for_each_seed_on_replicates_of_its_own(run, tmp_path):
    _, evaluator = confirmed(run, tmp_path)
    tuned, final = defaultdict(set), Counter()
    for trial in evaluator.trials:
        if trial.replicate < CONFIRMING_REPLICATE:
            tuned[trial.cell, trial.task].add((trial.replicate, trial.setting))
        else:
            final[trial.cell, trial.task, trial.replicate] += 1
    for task in ("first", "second"):
        of_task = {frozenset(pairs) for (_, name), pairs in tuned.items() if name == task}
        assert len(of_task) == 1
        assert {replicate for replicate, _ in next(iter(of_task))} == {TUNING_REPLICATE + seed for seed in range(3)}
        assert len(next(iter(of_task))) == 3 * 4
        drawn = {seed: {setting for number, setting in next(iter(of_task)) if number == seed} for seed in (1001, 1002)}
        assert drawn[1001] != drawn[1002]
    assert set(final.values()) == {1}
    assert len(final) == 7 * 2 * 3
    searched = set(run.trials()["replicate"])
    assert searched.isdisjoint({trial.replicate for trial in evaluator.trials})


def test_the_setting_with_the_best_validation_is_trained_afresh(run, tmp_path):
    confirmation, evaluator = confirmed(run, tmp_path)
    tuned = defaultdict(list)
    for trial in evaluator.trials:
        if trial.replicate < CONFIRMING_REPLICATE:
            place = trial.cell, trial.task, trial.replicate - TUNING_REPLICATE
            tuned[place].append((noisy(trial), trial.setting))
    for place, setting in confirmation.confirmed.chosen.items():
        assert setting == max(tuned[place])[1]
    finals = {t.setting for t in evaluator.trials if (t.cell, t.task, t.replicate) == (GRU, "first", 2001)}
    assert finals == {confirmation.confirmed.chosen[GRU, "first", 0]}


def test_more_settings_or_seeds_repeat_no_trial(run):
    small, large = (
        {trial.key for trial in confirmation_plan(run, num_settings=settings, num_seeds=seeds).tuning_trials()}
        for settings, seeds in ((3, 2), (5, 4))
    )
    assert small < large


def test_the_number_of_trials_is_known_beforehand(run, tmp_path):
    _, evaluator = confirmed(run, tmp_path)
    counted = Counter(trial.task for trial in evaluator.trials)
    assert confirmation_plan(run).num_trials() == counted


def favouring(cell: str, factor: float):
    return lambda trial: noisy(trial) * (factor if trial.cell == cell else 1.0)


def row_of(confirmation, cell):
    frame = confirmation.frame()
    return frame[frame["cell"] == cell].iloc[0]


def test_a_better_cell_is_called_better_and_a_worse_one_worse(run, tmp_path):
    finalist = confirmation_plan(run).contestants[-1].cell
    better = row_of(confirmed(run, tmp_path / "better", favouring(finalist, 1.5), num_seeds=5)[0], finalist)
    assert better["verdict"] == "better"
    assert better["fitness_low"] > 1
    assert f"{finalist} is better than the gru on every task" in better["sentence"]
    worse = row_of(confirmed(run, tmp_path / "worse", favouring(finalist, 0.7), num_seeds=5)[0], finalist)
    assert worse["verdict"] == "worse"
    assert "is worse than the gru on " in worse["sentence"]


def test_the_sentence_of_a_worse_cell_has_the_ratio_of_the_task_that_it_names(run):
    noise, level = (0.80, 0.97, 0.93, 0.99, 0.86), (0.951, 0.949, 0.95, 0.952, 0.948)
    judgement = judge({"words": noise, "xml": level}, dict.fromkeys(("words", "xml"), (1.0,) * 5), 0.95)
    assert (judgement.verdict, judgement.fitness.estimate) == ("worse", judgement.ratios["words"].estimate)
    sentence = sentence_of("c_1", judgement, confirmation_plan(run), {}, {})
    assert sentence == "c_1 is worse than the gru on xml: ratio 0.950 (0.948 to 0.952)."
    alone = judge({"xml": level}, {"xml": (1.0,) * 5}, 0.95)
    sentence = sentence_of("c_1", alone, confirmation_plan(run), {}, {})
    assert sentence == "c_1 is worse than the gru: fitness 0.950 (0.948 to 0.952)."


def test_failures_are_told_and_come_last(run, tmp_path):
    finalist = confirmation_plan(run).contestants[-1].cell

    def failing(trial):
        return None if (trial.cell, trial.task, trial.replicate) == (finalist, "second", 2002) else noisy(trial)

    confirmation, _ = confirmed(run, tmp_path, failing)
    last = confirmation.frame().iloc[-1]
    assert (last["cell"], last["verdict"]) == (finalist, "not_comparable")
    assert f"1 of 3 on second ({finalist}: 1 diverged)." in last["sentence"]
    assert pd.isna(last["fitness"])
    assert not last["on_parameters_front"]
    assert last["ratio_first"] > 0


def test_a_tuning_without_any_result_leaves_its_seed_empty(run, tmp_path):
    finalist = confirmation_plan(run).contestants[-1].cell

    def failing(trial):
        return None if (trial.cell, trial.replicate) == (finalist, TUNING_REPLICATE) else noisy(trial)

    confirmation, evaluator = confirmed(run, tmp_path, failing)
    assert confirmation.confirmed.values[finalist]["first"][0] is None
    assert confirmation.confirmed.causes[finalist]["first"] == ("no setting worked",)
    assert not [t for t in evaluator.trials if (t.cell, t.replicate) == (finalist, CONFIRMING_REPLICATE)]


def test_a_baseline_without_results_ends_the_study(run, tmp_path):
    with pytest.raises(SearchStateError, match=r"baseline 'gru', task 'first'.*got none"):
        confirmed(run, tmp_path, lambda trial: None if trial.cell == GRU else 0.5)


def test_a_search_without_a_found_cell_has_nothing_to_confirm(run):
    run = load_run(run.path)
    run.knowledge  # noqa: B018 - read before it is replaced
    listed = tuple(entry for entry in run.knowledge.listed if entry[1] in run.knowledge.founders)
    run.__dict__["knowledge"] = replace(run.knowledge, listed=listed)
    with pytest.raises(SearchStateError, match="nothing to confirm"):
        choose_contestants(run, PLAN.baseline, 3)


def test_the_tables_are_written_and_read_back(tmp_path):
    run = simulated_run(tmp_path / "run")
    assert run.confirmation() is None
    confirmation, _ = confirmed(run, tmp_path)
    confirmation.write(run.folder)
    frame = load_run(run.path).confirmation()
    assert list(frame.columns) == list(confirmation.frame().columns)
    assert list(frame["cell"]) == list(confirmation.frame()["cell"])
    assert list(frame["fitness"]) == sorted(frame["fitness"], reverse=True)
    kept = json.loads((run.path / "confirmation.json").read_text(encoding="utf-8"))
    assert kept["test_values"][GRU]["first"] == list(confirmation.confirmed.values[GRU]["first"])
    assert [row["cell"] for row in kept["cells"]] == list(frame["cell"])
    assert [path.name for path in run.path.glob(".*")] == []
    assert set(frame["confidence"]) == {0.95}


def test_another_table_in_its_place_is_refused(tmp_path):
    run = simulated_run(tmp_path / "run")
    run.folder.confirmation_path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(FileFormatError, match="expected the table of a confirmation"):
        run.confirmation()


def test_the_front_shows_what_wins_by_being_bigger(run, tmp_path):
    frame = confirmed(run, tmp_path)[0].frame()
    for row in frame.to_dict("records"):
        beaten = frame[(frame["fitness"] >= row["fitness"]) & (frame["parameters"] <= row["parameters"])]
        strictly = beaten[(beaten["fitness"] > row["fitness"]) | (beaten["parameters"] < row["parameters"])]
        assert row["on_parameters_front"] == strictly.empty


def test_ranks_are_whole_numbers_in_the_file(run, tmp_path):
    text = confirmed(run, tmp_path)[0].frame().to_csv(index=False)
    ranks = [str(rank) for rank in pd.read_csv(io.StringIO(text), dtype=str)["rank"].dropna()]
    assert ranks
    assert all(rank.isdigit() for rank in ranks)
