import numpy as np
import pytest

from archsearch.trials.ngram import ngram_nll
from archsearch.trials.ngram_chances import NgramChances
from archsearch.trials.windows import in_streams, stream_batches


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_chances_are_those_that_the_best_ngram_is_measured_with(order):
    """A text in which each longer context helps, so that the best n-gram is the longest."""
    rng = np.random.default_rng(1)
    text = np.zeros(3_000, np.int64)
    for place in range(3, len(text)):
        text[place] = rng.random() < 0.05 + text[place - 3 : place] @ (0.3, 0.25, 0.2)
    training, held_out = text[:2_500], text[2_500:]
    batches = [stream_batches(in_streams(part, 1), len(part)) for part in (training, held_out)]
    ngram = NgramChances(training.astype(np.uint8), 2, order)
    likely = [ngram.after(held_out[:end].tolist())[held_out[end]] for end in range(1, len(held_out))]
    assert -np.log(likely).mean() == pytest.approx(ngram_nll(*batches, 2, order))
    chances = ngram.after([0, 1, 1])
    assert chances.sum() == pytest.approx(1)
    assert (chances > 0).all()


def test_the_numbers_of_a_small_example():
    """In 0 1 0 1 0 2 0, after 0 came 1, 1 and 2: three times, two kinds; the first follows nothing."""
    ngram = NgramChances(np.array([0, 1, 0, 1, 0, 2, 0], np.uint8), 3, 2)
    unigram = [(count + 3 / 3) / (6 + 3) for count in (3, 2, 1)]
    assert ngram.after([]).tolist() == pytest.approx(unigram)
    bigram = [(count + 2 * shorter) / (3 + 2) for count, shorter in zip((0, 2, 1), unigram, strict=True)]
    assert ngram.after([2, 0]).tolist() == pytest.approx(bigram)
    assert ngram.after([1, 1]) == pytest.approx(NgramChances(ngram.text, 3, 2).after([1]))
