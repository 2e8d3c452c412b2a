"""One small run that ended, and copies of it that a test may damage."""

import shutil

import pytest
from shared_runs import SMALL_PLAN, run

from archsearch.run.folder import RunFolder


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The run's folder. Not to be changed."""
    return RunFolder(run(tmp_path_factory.mktemp("whole"), "run", SMALL_PLAN))


@pytest.fixture
def folder(whole, tmp_path):
    """A copy of the run's folder."""
    return RunFolder(shutil.copytree(whole.path, tmp_path / "run"))
