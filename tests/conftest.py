"""Settings shared by all tests: reproducible hypothesis runs and one thread.

Code that several tests share stands in the modules `shared_*.py`, which pytest's `pythonpath` makes importable.
"""

import atexit
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
if not any(Path("/dev").glob("nvidia[0-9]*")):
    os.environ.setdefault("TRITON_INTERPRET", "1")  # Triton looks at it when it is loaded

# cells compiled for tests are not left in the user's cache
_compiled = tempfile.TemporaryDirectory(prefix="archsearch-tests-")
atexit.register(_compiled.cleanup)
os.environ["ARCHSEARCH_CACHE"] = _compiled.name

settings.register_profile(
    "reproducible", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
settings.load_profile("reproducible")
