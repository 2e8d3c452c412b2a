"""The real command line with a sabotaged evaluator: `python -m faults.command_line search …`.

Other things that a row may change are named in the environment variable, too: see `_change`.
"""

import json
import os

from archsearch.cli import main, planning
from archsearch.run import live_views
from archsearch.tasks.xml import Xml
from archsearch.training import environment
from faults.sabotage import SABOTAGE
from faults.trained_sabotage import SabotagedEvaluator


def _change(record: dict[str, object]) -> None:
    if "task_version" in record:  # as if the code of a task had been changed
        Xml.version = int(str(record["task_version"]))
    if "torch_version" in record:  # as if another torch had been installed
        environment.torch.__version__ = str(record["torch_version"])  # type: ignore[attr-defined]
    live_views.SECONDS_BETWEEN_VIEWS = float(str(record.get("seconds_between_views", 20.0)))


if __name__ == "__main__":
    _change(json.loads(os.environ[SABOTAGE]))
    planning.Evaluator = SabotagedEvaluator  # type: ignore[misc]
    main.main()
