"""A strategy of one's own, as docs/strategies.md has it."""

import os
import sys

from shared_pages import blocks

SMALL = ("seeds=2", "budget.candidates=1", "search.num_settings=2", "search.num_baseline_settings=2", "tasks=[xml]")


def test_a_strategy_of_your_own(archsearch, tiny_words, tmp_path, monkeypatch):
    """The page, followed to the letter but for the budgets."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    page = blocks("strategies.md")
    for block in page:
        if block.file:
            (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.file).write_text(block.text)
    replayed, searched = (line.split()[1:] for line in page[-1].text.splitlines())
    outcome = archsearch(*replayed, *SMALL)
    assert outcome.code == 0, outcome.err
    assert "greedy" in outcome.out
    outcome = archsearch(*searched, *tiny_words)
    assert outcome.code == 0, outcome.err
    kept = (tmp_path / "results" / "greedy" / "config.yaml").read_text()
    assert "strategy:\n  _target_: greedy.Greedy\n  best: 2\n" in kept
