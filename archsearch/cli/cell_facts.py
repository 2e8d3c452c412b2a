"""What commands say of a cell: what it costs, how deep it is, what it carries and what it reads."""

from collections.abc import Mapping

from archsearch.cli.section import Section
from archsearch.compiler.parts import part_nodes
from archsearch.graph.cost import count_multiply_adds, count_parameters
from archsearch.graph.measures import (
    count_matrices,
    depth_in_matrices,
    depth_in_nodes,
    expressions_of_input_alone,
    of_input_alone,
    unread_states,
)
from archsearch.graph.structure import Structure
from archsearch.mutation.bounds import REFERENCE_SIZE


def cost_facts(structure: Structure, root: Section) -> dict[str, str]:
    """Returns sizes and costs, at the reference size and at the widths that the settings name."""
    facts = {
        "nodes": str(len(structure.nodes)),
        "matrices": str(count_matrices(structure)),
        "depth in nodes": str(depth_in_nodes(structure)),
        "depth in matrices": str(depth_in_matrices(structure)),
    }
    widths = [(REFERENCE_SIZE, REFERENCE_SIZE)]
    if "input_size" in root or "hidden_size" in root:
        sizes = [root.integer(key, 1) if key in root else REFERENCE_SIZE for key in ("input_size", "hidden_size")]
        widths.append((sizes[0], sizes[1]))
    for input_size, hidden_size in dict.fromkeys(widths):
        same = input_size == hidden_size
        where = str(hidden_size) if same else f"I = {input_size}, H = {hidden_size}"
        facts[f"parameters at {where}"] = f"{count_parameters(structure, input_size, hidden_size):,}"
        facts[f"multiply-adds per step at {where}"] = f"{count_multiply_adds(structure, input_size, hidden_size):,}"
    return facts


def flow_facts(structure: Structure) -> dict[str, str]:
    """Returns what is carried from step to step, and what is not."""
    recurrent = part_nodes(structure).recurrent
    facts = {"states": ", ".join(structure.states), "carried": ", ".join(recurrent) or "none"}
    delayed = [state for state in structure.states if state not in (*recurrent, *unread_states(structure))]
    if delayed:
        facts["only delayed"] = ", ".join(delayed)
    if unread_states(structure):
        facts["read by nothing"] = ", ".join(unread_states(structure))
    alone = of_input_alone(structure)
    if alone:
        found = expressions_of_input_alone(structure).items()
        shown = ", ".join(text if count == 1 else f"{text} ({count} times)" for text, count in found)
        facts["of x alone"] = f"{shown}: {len(alone)} of {len(structure.nodes)} nodes run for all steps at once"
    else:
        facts["of x alone"] = "nothing"
    return facts


def print_facts(facts: Mapping[str, str]) -> None:
    """Prints names and facts in two columns."""
    width = max(map(len, facts))
    for name, fact in facts.items():
        print(f"{name:<{width}}  {fact}")
