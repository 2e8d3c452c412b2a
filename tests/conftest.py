"""Settings shared by all tests: reproducible hypothesis runs, one thread, the shared test modules."""

import importlib.util
import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile(
    "reproducible", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
settings.load_profile("reproducible")


def _load_shared(name: str) -> None:
    """Makes tests/NAME.py importable as `shared_NAME` (importlib mode has no test package)."""
    path = Path(__file__).parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"shared_{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)


for shared in ("cells", "full_cells", "evaluation", "respelling", "near_misses"):
    _load_shared(shared)
