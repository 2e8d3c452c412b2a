"""One simulated run that the tests of the report read."""

from pathlib import Path

import pytest
from shared_reported_runs import reported_run

from archsearch.report.page import write_report
from archsearch.run.reading import Run


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Run:
    """A finished run. Not to be changed."""
    return reported_run(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def page(run) -> Path:
    """Its report."""
    return write_report(run)
