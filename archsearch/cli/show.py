"""`archsearch show`: one cell, written and drawn."""

from collections.abc import Mapping

from archsearch.cli.cell_choice import ChosenCell, choose_cell
from archsearch.cli.cell_facts import cost_facts, flow_facts, print_facts
from archsearch.cli.composition import compose_settings
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.drawing.terminal import LEGEND, draw_text
from archsearch.trials.value_texts import value_text


def run(words: list[str]) -> int:
    """Prints equations, drawing, flow, cost and, for a cell of a run, how it did."""
    root = Section(compose_settings("show", parse_words("show", words)).values)
    chosen = choose_cell(root)
    graph = chosen.graph
    costs = _with_canonical(cost_facts(graph.structure, root), cost_facts(graph.canonical_form.structure, root))
    print(f"{chosen.name}\n\n{graph.equations().rstrip()}\n\n{draw_text(graph).rstrip()}\n\n{LEGEND}\n")
    print_facts({"id": graph.digest, **flow_facts(graph.structure), **costs, **_in_run(chosen)})
    return 0


def _with_canonical(written: Mapping[str, str], canonical: Mapping[str, str]) -> dict[str, str]:
    """Returns the costs as written, with those of the form that leaderboards count where they differ."""
    return {
        name: fact if fact == canonical[name] else f"{fact}; {canonical[name]} in canonical form, as a search trains it"
        for name, fact in written.items()
    }


def _in_run(chosen: ChosenCell) -> dict[str, str]:
    """Returns what a run knows of the cell."""
    run = chosen.run
    record = run.knowledge.cells.get(chosen.graph.digest) if run else None
    if run is None or record is None:
        return {}
    ratios = run.knowledge.ratios(record)
    facts = {"run": str(run.path)}
    ranks = [rank for rank, (_, digest) in enumerate(run.knowledge.listed, start=1) if digest == record.digest]
    if ranks:
        facts["rank"] = str(ranks[0])
    facts |= {f"ratio on {task}": f"{ratio:.4f}" for task, ratio in ratios.items()}
    for task in ratios:
        quality, setting = record.history(task).ranked()[0]
        metric = run.knowledge.metrics[task]
        facts[f"best on {task}"] = f"{metric.name} {value_text(metric.value(quality), 4)} with {setting.key}"
    if record.fell_at:
        facts["fell at"] = record.fell_at
    if record.parent:
        parent = run.knowledge.cells[record.parent]
        facts["parent"] = parent.name or parent.digest
        facts["made by"] = ", ".join(record.transformations)
        facts["step"] = str(record.step)
    return facts
