import itertools

import pytest

from archsearch.errors import ConfigError
from archsearch.tasks.memorization import Memorization


def test_symbols_are_read_then_reproduced_in_order():
    """R33: 5 symbols out of 26 are read, then reproduced; the five reproduced ones are scored."""
    task = Memorization("memorization")
    assert len(task.symbols) == 26
    for batch in itertools.islice(task.training(0, 8, 35), 5):
        assert batch.starts
        for b in range(8):
            read, asked = batch.inputs[:, b], batch.targets[:, b]
            assert batch.scored[:, b].tolist() == [False] * 4 + [True] * 5
            assert asked[4:].tolist() == read[:5].tolist()
            assert read[5:].tolist() == asked[4:8].tolist()  # teacher forcing


def test_splits_have_no_problem_in_common():
    task = Memorization("memorization", num_symbols=2, num_letters=20)

    def problems(batches):
        return {tuple(batch.inputs[:2, b]) for batch in batches for b in range(batch.inputs.shape[1])}

    training = problems(itertools.islice(task.training(1, 20, 35), 300))
    validation, test = (problems(task.held_out(split, 20, 35)) for split in ("validation", "test"))
    assert len(training) > 250
    assert not training & (validation | test)
    assert not validation & test
    assert len(training | validation | test) == 400


def test_held_out_batches_cover_the_problems():
    task = Memorization("memorization", validation_problems=50)
    assert [batch.inputs.shape for batch in task.held_out("validation", 20, 35)] == [(9, 20)] * 2
    assert len(list(task.held_out("validation", 64, 35))) == 1


def test_chance_is_about_one_letter_in_26():
    assert Memorization("memorization").chance() == pytest.approx(1 / 26, abs=0.02)
    assert Memorization("memorization").ceiling() == 1.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_symbols": 0}, "num_symbols: expected an integer from 1 to 1000, got 0"),
        ({"num_letters": 27}, "num_letters: expected an integer from 2 to 26, got 27"),
        ({"num_letters": "many"}, "got 'many'"),
        ({"epoch": True}, "epoch: expected an integer"),
        ({"num_symbols": 1, "num_letters": 2}, "enough different problems for three disjoint splits"),
    ],
)
def test_impossible_fields_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Memorization("memorization", **fields)
