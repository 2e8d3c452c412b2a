"""A simulated search through the real driver, journal and processes, without torch.

`python -m faults.simulated_search OPTIONS`: the one argument is an object of JSON, see `Place.simulate`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from shared_simulation import SilentObserver, make_plan, make_small_plan

from archsearch.errors import ArchSearchError
from archsearch.run import live_views
from archsearch.run.execution import Execution, Limits
from archsearch.run.folder import RunFolder
from archsearch.run.session import Stopped, run_search
from faults.sabotage import Sabotage

PLANS = {"small": make_small_plan, "whole": make_plan}


def main() -> int:
    """Runs or continues a search and returns the exit code of the command line."""
    options: dict[str, Any] = json.loads(sys.argv[1])
    live_views.SECONDS_BETWEEN_VIEWS = options["seconds_between_views"]
    live_views.SHARE_OF_TIME_FOR_VIEWS = 1.0
    run, notes = Path(options["run"]), options["notes"]
    run.mkdir(exist_ok=True)
    execution = Execution(
        options["workers"], Limits(options["time_limit"], options["memory_limit"]), options["grace"], None, 12
    )
    evaluator = Sabotage(options["faults"], Path(notes) if notes else None, options["seconds"])
    plan = PLANS[options["plan"]](**options["changes"])
    try:
        run_search(plan, RunFolder(run), evaluator, execution, SilentObserver())
    except Stopped:
        print("stopped", flush=True)
        return 130
    except (ArchSearchError, OSError) as error:
        print(f"archsearch: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
