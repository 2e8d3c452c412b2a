"""Simulated runs with everything that a report shows: `from shared_reported_runs import …`."""

from dataclasses import replace
from pathlib import Path

from shared_simulation import SilentObserver, SimulatedEvaluator, drawn_accuracy, make_plan, uniform

from archsearch.run.folder import RunFolder
from archsearch.run.reading import Run, load_run
from archsearch.run.session import run_search
from archsearch.search.plan import SearchPlan
from archsearch.trials.trial import Trial, TrialResult

EVIL = "<script>alert('evil')</script>\"'&<img src=x onerror=alert(1)>"
EVIL_ERROR = f"loss {EVIL} is </script><script>alert(2)</script> nan\nsecond line"


class CurveEvaluator(SimulatedEvaluator):
    """Answers at once, with learning curves, times, and errors that would like to be HTML."""

    def evaluate(self, trial: Trial) -> TrialResult:
        """Returns the drawn accuracy with a curve that ends there."""
        super().evaluate(trial)
        accuracy = drawn_accuracy(trial)
        seconds = 1 + uniform("seconds", trial.key)
        about = {"engine": "none", "cpu": EVIL}
        if accuracy is None:
            return TrialResult("diverged", None, error=EVIL_ERROR, seconds=seconds, environment=about)
        curve = tuple((10 * n, 1.0 / n, accuracy * n / 10) for n in range(1, 11))
        result = TrialResult("ok", accuracy, curve, 100, seconds, 1000, 12, environment=about)
        return replace(result, step_seconds=0.001 * (0.5 + uniform("step", trial.cell)))


def reported_run(results_dir: Path, name: str = "run", plan: SearchPlan | None = None) -> Run:
    """Returns a finished run; its first founder has a name that would like to be HTML."""
    plan = plan or make_plan(reevaluate_probability=0.2)
    founders = (replace(plan.founders[0], name=EVIL), *plan.founders[1:])
    folder = RunFolder.create(results_dir, name, "test")
    folder.write_config(f"# {EVIL}\nbudget:\n  candidates: {plan.num_candidates}\nworkers: 2\ntask: {{}}\n")
    folder.note_command(["archsearch", "search", EVIL])
    run_search(replace(plan, founders=founders), folder, CurveEvaluator(), 0, SilentObserver())
    return load_run(folder.path)
