"""What a run is: kept when it begins, compared when it goes on."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version

from archsearch.errors import SearchStateError
from archsearch.run.journal import Journal
from archsearch.search.plan import SearchPlan

PLAN, PARTS = "plan", "plan parts"


def note_identity(journal: Journal, plan: SearchPlan) -> None:
    """Keeps what readers need, who made the run, and who is at work on it now.

    Raises:
        SearchStateError: The run was started with another plan.
    """
    kept = journal.about(PLAN)
    if kept is not None and kept != plan.identity:
        raise SearchStateError(
            f"run made by archsearch {journal.about('made_by')}: expected the plan it was started with, got another"
            f"{_differences(journal, plan)}. Its config.yaml, a task's files or the code of archsearch (now "
            f"{version('archsearch')}) has changed: restore them, or start a new run; with recorded=… and this run's "
            f"folder it trains nothing again that is still the same."
        )
    facts = {
        PLAN: plan.identity,
        PARTS: json.dumps(plan.parts),
        "tasks": json.dumps([task.name for task in plan.tasks]),
        "list_size": str(plan.list_size),
        "penalty": json.dumps(asdict(plan.penalty)),
        "made_by": version("archsearch"),
    }
    for name, fact in facts.items():
        if journal.about(name) is None:  # new, begun by a version that did not keep it, or lost with a damaged page
            journal.note(name, fact)
    journal.note("continued_by", version("archsearch"))


def _differences(journal: Journal, plan: SearchPlan) -> str:
    """Returns the parts of the plan that differ; nothing where they were not kept."""
    kept: Mapping[str, str] = json.loads(journal.about(PARTS) or "{}")
    now = plan.parts
    names = [name for name in dict.fromkeys((*kept, *now)) if kept.get(name) != now.get(name)]
    if not kept or not names:
        return ""
    changes = [f"{name}: {_shown(kept.get(name))} → {_shown(now.get(name))}" for name in names[:5]]
    return f" (kept → now: {'; '.join(changes)}{' and more' if len(names) > 5 else ''})"


def _shown(text: str | None) -> str:
    if text is None:
        return "none"
    return text if len(text) <= 60 else text[:60] + "…"
