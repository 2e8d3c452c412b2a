import numpy as np
import pytest
from shared_slow_ngrams import slow_ngram_accuracy, slow_ngram_nll

from archsearch.trials.ngram import ngram_accuracy, ngram_nll
from archsearch.trials.task import Batch


def batch(symbols, scored=None, starts=True) -> Batch:
    """One or several streams, given as rows."""
    rows = np.array(symbols, np.int64).reshape(-1, len(np.atleast_2d(symbols)[0])).T
    flags = np.ones_like(rows[1:], bool) if scored is None else np.array(scored, bool).reshape(-1, 1)
    return Batch(rows[:-1], rows[1:], flags, starts)


def test_unigram_takes_the_commonest_symbol():
    training, held_out = [batch([0, 1, 1, 1, 2])], [batch([0, 1, 2, 2, 1])]
    assert ngram_accuracy(training, held_out, 3, max_order=1) == 2 / 4


def test_higher_orders_see_more():
    """In 0 0 1 1 0 0 1 1 … two symbols tell the next; one does not."""
    period = [0, 0, 1, 1] * 20
    training, held_out = [batch(period)], [batch(period[2:])]
    assert ngram_accuracy(training, held_out, 2, max_order=2) < 0.6
    # the very first position has one symbol to go by, and the bigram guesses wrong
    assert ngram_accuracy(training, held_out, 2) >= 76 / 77


def test_best_order_is_reported_not_the_highest():
    """The trigram has learned by heart what does not come again."""
    training = [batch([0, 1, 2, 0, 1, 2, 3, 1, 1, 3, 1, 1])]
    held_out = [batch([3, 1, 1, 3, 1, 2, 3, 1, 2])]
    values = [ngram_accuracy(training, held_out, 4, max_order=order) for order in (1, 2, 3)]
    assert values == sorted(values)


def test_unseen_context_asks_the_lower_order():
    training = [batch([0, 1, 0, 1, 0, 1])]
    held_out = [batch([2, 0, 1])]  # after 2, never seen: the unigram's 1; after (2, 0): the bigram's 1
    assert ngram_accuracy(training, held_out, 3) == 1 / 2


def test_only_scored_positions_are_learned_and_counted():
    training = [batch([0, 1, 0, 1, 0, 2], scored=[0, 0, 0, 0, 1])]
    held_out = [batch([0, 2, 0, 1], scored=[1, 0, 0])]
    assert ngram_accuracy(training, held_out, 3) == 1.0


def test_context_goes_over_the_border_of_batches_unless_states_start_anew():
    """R27: what an n-gram may look at are the symbols read since the states were set to zero."""
    first, carried = batch([0, 1]), batch([1, 0], starts=False)
    anew = batch([1, 2], starts=True)
    training = [first, carried, anew, anew, anew]
    assert ngram_accuracy(training, [first, batch([1, 0], scored=[1], starts=False)], 3) == 1.0
    assert ngram_accuracy(training, [first, batch([1, 0], scored=[1], starts=True)], 3) < 1.0


def test_short_batches_keep_the_context():
    """Batches of one step give the same as one long batch."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 3, (4, 300)).cumsum(1) % 5
    whole = [batch(rows)]
    cut = [
        Batch(whole[0].inputs[t : t + 1], whole[0].targets[t : t + 1], whole[0].scored[t : t + 1], t == 0)
        for t in range(299)
    ]
    assert ngram_accuracy(cut, cut, 5) == ngram_accuracy(whole, whole, 5)


def test_large_vocabulary_does_not_overflow():
    rng = np.random.default_rng(1)
    data = [batch(rng.integers(0, 100_000, 5000))]
    assert ngram_accuracy(data, data, 100_000) == pytest.approx(1.0, abs=0.01)


def test_long_contexts_of_a_large_vocabulary_are_told_apart():
    """Five symbols tell the next, fewer do not; read as digits, five of 20,000 are more than 64 bits hold."""
    period = np.tile([19_000, 19_000, 19_000, 19_000, 19_000, 19_001], 40)
    noise = np.random.default_rng(2).integers(19_000, 19_010, 200)
    training, held_out = [batch(np.concatenate([noise, period]))], [batch(np.concatenate([period, noise[:20]]))]
    nats = ngram_nll(training, held_out, 20_000, max_order=6)
    assert nats == pytest.approx(slow_ngram_nll(training, held_out, 20_000, max_order=6), abs=1e-12)
    assert nats < ngram_nll(training, held_out, 20_000, max_order=5) - 0.1
    accuracy = ngram_accuracy(training, held_out, 20_000, max_order=6)
    assert accuracy == slow_ngram_accuracy(training, held_out, max_order=6)
    assert accuracy > ngram_accuracy(training, held_out, 20_000, max_order=5)


def test_likelihoods_are_those_of_witten_and_bell():
    """After 0 came 1, 1 and 2: three times, two kinds; each order is mixed with the shorter one."""
    training, held_out = [batch([0, 1, 0, 1, 0, 2, 0])], [batch([0, 1])]
    unigram = (2 + 3 * (1 / 3)) / (6 + 3)  # of 1: twice among six targets of three kinds
    bigram = (2 + 2 * unigram) / (3 + 2)
    assert ngram_nll(training, held_out, 3, max_order=1) == pytest.approx(-np.log(unigram))
    assert ngram_nll(training, held_out, 3, max_order=2) == pytest.approx(-np.log(bigram))
