"""From a run's settings to how its trials are computed."""

from archsearch.cli.planning import read_execution
from archsearch.cli.section import Section


def test_null_is_no_limit_of_equal_failures_and_an_old_run_has_the_usual():
    found = [read_execution(Section({"workers": 0, **more})) for more in ({"max_equal_failures": None}, {})]
    assert [execution.max_equal_failures for execution in found] == [None, 20]
