"""Settings shared by all tests: reproducible hypothesis runs and one thread.

Code that several tests share stands in the modules `shared_*.py`, which pytest's `pythonpath` makes importable.
"""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile(
    "reproducible", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
settings.load_profile("reproducible")
