"""What searches on a GPU do with what populations do not have, with torch told that there is a GPU."""

from dataclasses import replace

import pytest
import torch

from archsearch.errors import ConfigError, SearchStateError
from archsearch.training import evaluate_population
from archsearch.training.evaluate_population import PopulationEvaluator, check_recipe
from archsearch.training.failures import classify
from archsearch.trials.trial import Recipe


def test_dropout_is_refused_before_anything_trains():
    with pytest.raises(ConfigError, match=r"recipe.dropout: engine=cuda trains populations.* Use engine=native"):
        check_recipe("cuda", replace(Recipe(), dropout=0.2))
    check_recipe("vectorized", replace(Recipe(), dropout=0.2))


@pytest.mark.parametrize("text", ["CUDA error: out of memory", "Triton Error [CUDA]: out of memory"])
def test_refusals_of_memory_by_other_libraries(text):
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError(text)
    assert classify(raised.value)[0] == "out_of_memory"


def fail(*_):
    """Fails as CUDA does after a wrong address."""
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_a_gpu_that_computes_no_more_stops_the_search(monkeypatch, recall_task, make_trial):
    """After a wrong address every later call fails: it must not be blamed on the cells that come next."""
    monkeypatch.setattr(PopulationEvaluator, "_may_fit", lambda *_: True)
    monkeypatch.setattr(PopulationEvaluator, "_trainer", fail)
    monkeypatch.setattr(evaluate_population, "describe_environment", lambda engine: {"engine": engine})
    trials = tuple(make_trial(recall_task, replicate=number) for number in range(2))
    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    with pytest.raises(SearchStateError, match=r"computes no more .* resume the run"):
        PopulationEvaluator(recall_task, "cuda").evaluate(trials)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    ended = PopulationEvaluator(recall_task, "cuda").evaluate(trials)
    assert [each.result.status for each in ended] == ["failed", "failed"]  # of these trials alone
