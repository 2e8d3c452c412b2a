"""`archsearch diff`: what changed from one cell to another."""

from collections.abc import Callable, Collection
from pathlib import Path

from archsearch.cli.cell_choice import ChosenCell, choose_cell
from archsearch.cli.cell_facts import cost_facts, print_facts
from archsearch.cli.composition import compose_settings
from archsearch.cli.new_files import check_writable, write_new
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.drawing.markup import to_dot, to_mermaid
from archsearch.drawing.svg import to_svg
from archsearch.drawing.terminal import draw_text
from archsearch.errors import ConfigError
from archsearch.graph.catalog import zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.difference import Difference, changed_lines, find_difference
from archsearch.graph.names import paired_values

# by the ending of the file's name
_PICTURES: dict[str, Callable[[CellGraph, Collection[str]], str]] = {
    ".svg": to_svg,
    ".dot": to_dot,
    ".mmd": to_mermaid,
}


def run(words: list[str]) -> int:
    """Prints the changes in the equations, on the drawing and in the costs; writes a picture if asked to."""
    root = Section(compose_settings("diff", parse_words("diff", words)).values)
    before, after = _choose(root)
    out = _picture_path(root)
    difference = find_difference(before.graph, after.graph)
    facts = {**_made_by(before, after), **_cost_changes(difference, root)}
    if out is not None:
        write_new(out, _PICTURES[out.suffix](difference.after, difference.changed_after))
    print(f"from {before.name} to {after.name}\n")
    if before.graph.digest == after.graph.digest:
        print(_how_written(before, after))
    else:
        _print_changes(difference, facts)
    if out is not None:
        print(f"\nWrote {out}")
    return 0


def _choose(root: Section) -> tuple[ChosenCell, ChosenCell]:
    """Returns the cells before and after.

    Raises:
        ConfigError: They cannot be found, or only one is named and no run knows its parent.
    """
    chosen = choose_cell(root)
    if "other" in root:
        other = choose_cell(Section({**root.values, "cell": root.text("other"), "rank": None}))
        if "cell" in root and _is_same_reference(root.text("cell"), root.text("other")):
            raise ConfigError(f"other: expected another cell than cell={root.text('cell')}, got the same. Name two.")
        return chosen, other
    if chosen.run is None:
        raise ConfigError(
            "other: expected a zoo name or a file, got none. In a run, a cell is compared with its parent."
        )
    record = chosen.run.knowledge.cells.get(chosen.graph.digest)
    if record is None or not record.parent:
        raise ConfigError(f"cell {chosen.name}: the run knows no parent of it. Add other=… to compare it with a cell.")
    return choose_cell(Section({**root.values, "cell": record.parent, "rank": None})), chosen


def _is_same_reference(one: str, two: str) -> bool:
    if one == two or not Path(one).exists() or not Path(two).exists():
        return one == two
    return Path(one).samefile(two) and not {one, two}.intersection(zoo_names())  # a file may have a zoo name


def _picture_path(root: Section) -> Path | None:
    """Returns where the picture goes.

    Raises:
        ConfigError: The name is none of a picture, or the file cannot be made.
    """
    if "out" not in root:
        return None
    path = Path(root.text("out"))
    if path.suffix not in _PICTURES:
        endings = " or ".join(_PICTURES)
        raise ConfigError(f"out: expected a file name that ends in {endings}, got '{path}'. Rename it.")
    check_writable(path)
    return path


def _how_written(before: ChosenCell, after: ChosenCell) -> str:
    """Returns in what two cells of one digest differ, which cannot be what they compute."""
    digest = before.graph.digest
    if before.graph == after.graph:
        return f"The same cell, {digest}, written in the same way."
    pairs = paired_values(before.graph.structure, after.graph.structure)
    if pairs is None:
        return (
            f"The same cell, {digest}, spelt differently.\n\n"
            f"{before.name}:\n{_indented(before.graph)}\n\n{after.name}:\n{_indented(after.graph)}"
        )
    renamed = [f"{name} is {other}" for name, other in pairs.items() if name != other]
    if any(before.graph.nodes[name].weights != after.graph.nodes[other].weights for name, other in pairs.items()):
        renamed.append("names of weights")
    if not renamed:
        return f"The same cell, {digest}; only the order of the lines differs."
    return f"The same cell, {digest}; only names differ: {', '.join(sorted(renamed))}."


def _indented(cell: CellGraph) -> str:
    return "\n".join(f"  {line}" for line in cell.equations().splitlines())


def _print_changes(difference: Difference, facts: dict[str, str]) -> None:
    print("\n".join(f"{sign} {line}" for sign, line in changed_lines(difference)))
    print(f"\n{draw_text(difference.after, difference.changed_after).rstrip()}\n")
    print_facts(facts)


def _made_by(before: ChosenCell, after: ChosenCell) -> dict[str, str]:
    """Returns the transformations that made the second cell of the first, if a run says so."""
    record = after.run.knowledge.cells.get(after.graph.digest) if after.run else None
    if record is None or record.parent != before.graph.digest:
        return {}
    return {"made by": ", ".join(record.transformations)}


def _cost_changes(difference: Difference, root: Section) -> dict[str, str]:
    before, after = cost_facts(difference.before.structure, root), cost_facts(difference.after.structure, root)
    return {name: fact if fact == after[name] else f"{fact} → {after[name]}" for name, fact in before.items()}
