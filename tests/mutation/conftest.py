"""Every transformation that has a yaml, built as the yaml says: a new one is tested the moment its file exists."""

from dataclasses import replace
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from archsearch.mutation.draws import ActivationTransformation
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


_ALL = ("tanh", "sigmoid", "relu", "leaky_relu", "linear", "peephole")
_WIDER = {
    f"{name}, all activations": replace(transformation, activations=_ALL)
    for name, transformation in _BUILT.items()
    if isinstance(transformation, ActivationTransformation)
}


@pytest.fixture(params=(_BUILT | _WIDER).values(), ids=(_BUILT | _WIDER), scope="session")
def transformation(request: pytest.FixtureRequest) -> Transformation:
    return request.param
