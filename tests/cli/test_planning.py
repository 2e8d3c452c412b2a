"""From a run's settings to how its trials are computed."""

import pytest

from archsearch.cli.planning import read_execution
from archsearch.cli.section import Section


def test_null_is_no_limit_of_equal_failures_and_an_old_run_has_the_usual():
    found = [read_execution(Section({"workers": 0, **more})) for more in ({"max_equal_failures": None}, {})]
    assert [execution.max_equal_failures for execution in found] == [None, 20]


@pytest.mark.parametrize(("workers", "room"), [("auto", 6), (4, 4), (8, 6), (0, 0)])
def test_there_are_no_more_workers_than_gpus_have_room_for(monkeypatch, caplog, workers, room):
    monkeypatch.setattr("archsearch.cli.planning.num_gpus", lambda: 3)
    values = {"workers": workers, "engine": "cuda", "workers_per_gpu": 2}
    assert read_execution(Section(values)).workers == room
    assert ("3 GPUs with workers_per_gpu=2 have room for 6" in caplog.text) == (workers == 8)
    assert read_execution(Section({**values, "ray": {"address": "auto"}, "workers": 8})).workers == 8
