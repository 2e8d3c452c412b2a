"""Every transformation that has a yaml, built as the yaml says: a new one is tested the moment its file exists."""

from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from archsearch.mutation.transformation import Transformation

_FOLDER = Path(__file__).parents[2] / "conf" / "transformation"
_BUILT = {
    path.stem: instantiate(configuration)
    for path in sorted(_FOLDER.glob("*.yaml"))
    if "_target_" in (configuration := OmegaConf.load(path))
}


@pytest.fixture(scope="session")
def transformations() -> list[Transformation]:
    return list(_BUILT.values())


@pytest.fixture(params=_BUILT.values(), ids=_BUILT, scope="session")
def transformation(request: pytest.FixtureRequest) -> Transformation:
    return request.param
