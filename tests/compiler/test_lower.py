"""Where instructions go, what is packed, and the text of known programs."""

import random
from pathlib import Path

import pytest
from shared_cells import random_structure
from torch import nn

from archsearch.compiler.lower import lower
from archsearch.errors import ConfigError
from archsearch.graph.catalog import load_cell
from archsearch.graph.equations import parse_equations
from archsearch.graph.structure import Node, Structure

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["gru", "lstm_torch", "mut1"])
def test_text_of_known_programs(name):
    assert str(lower(load_cell(name).structure)) + "\n" == (GOLDEN / f"{name}.txt").read_text()


def results(part):
    return [name for instruction in part for name in instruction.results]


def test_all_of_x_alone_is_hoisted():
    program = lower(parse_equations("a = tanh(linear(x))\nb = sigmoid(linear(a * linear(x)))\nh' = b * h + a"))
    assert [instruction.operation for instruction in program.step] == ["mul", "add"]
    assert {"a", "b"} <= set(results(program.prologue))
    assert program.streamed == ("b", "a")


def test_what_no_step_waits_for_is_epilogue():
    structure = parse_equations("c' = tanh(linear(x, c))\no = sigmoid(linear(c', c))\nh' = o * tanh(c')")
    program = lower(structure)
    assert program.recurrent == ("c",)
    assert "o" in results(program.epilogue)
    assert [instruction.operation for instruction in program.step] == ["product", "add", "tanh"]
    assert set(program.gathered) == {structure.new_states["c"], "c"}


def test_a_chain_of_states_that_ends_unread_is_epilogue():
    program = lower(parse_equations("c' = tanh(linear(x, c))\nd' = c' * c\nh' = linear(d)"))
    assert program.recurrent == ("c",)
    assert ("delay", ("d", program.new_states[program.states.index("d")])) in [
        (instruction.operation, instruction.operands) for instruction in program.epilogue
    ]


def test_a_state_that_nobody_reads_is_not_delayed():
    program = lower(parse_equations("d' = tanh(linear(x))\nh' = tanh(linear(x, h))"))
    assert [instruction.operation for instruction in program.epilogue] == ["gather"]


def test_matrices_of_one_value_are_packed_per_part():
    program = lower(
        parse_equations("a = tanh(linear(x))\nb = linear(h)\nk = linear(h)\nc' = linear(h) + linear(x)\nh' = a*b + k")
    )
    packs = {pack.name: len(pack.members) for pack in program.packs}
    products = {
        instruction.operands[0]: packs[instruction.operands[1]]
        for part in (program.prologue, program.step, program.epilogue)
        for instruction in part
        if instruction.operation == "product"
    }
    assert products == {"x": 2, "h": 2, "h.all": 1}


def test_parameters_follow_the_nodes_order_and_names():
    structure = Structure(
        ("h",),
        {
            "late": Node("linear", ("early",), 0.9, False),
            "early": Node("linear", ("x",), 0.0, True, 1.0, weights="entrance"),
            "sum": Node("add", ("late", "h")),
        },
        {"h": "sum"},
    )
    late, early = lower(structure).parameters
    assert (late.name, late.width, late.diagonal, late.bias) == ("late", "H", 0.9, False)
    assert (early.name, early.width, early.bias, early.bias_init) == ("entrance", "I", True, 1.0)


def test_bare_input_is_projected_and_a_matrix_of_x_is_not():
    program = lower(parse_equations("h' = tanh(linear(x, h) + x)"))
    assert program.needs_input_projection
    assert program.prologue[0].operands == ("x",)
    assert program.prologue[1].operands[0] == "x"
    assert not lower(parse_equations("h' = tanh(linear(x, h))")).needs_input_projection


@pytest.mark.parametrize("seed", range(20))
def test_parts_read_only_what_they_can(seed):
    """Every value is written before it is read; no step value reaches the prologue or, ungathered, the epilogue."""
    structure = random_structure(random.Random(seed), 25, 1 + seed % 4)
    program = lower(structure)
    assert program == lower(structure)
    axes = {value.name: value.axis for value in program.values}
    known = {"x"} | {pack.name for pack in program.packs}
    for part, readable in (
        (program.prologue, {"time", "parameter"}),
        (program.step, {"time", "parameter", "state", "step"}),
        (program.epilogue, {"time", "parameter"}),
    ):
        if part is program.step:
            known |= set(program.recurrent)
        for instruction in part:
            assert known.issuperset(set(instruction.operands) - set(program.states))
            if instruction.operation not in ("gather", "delay"):
                assert {axes[name] for name in instruction.operands} <= readable
            known.update(instruction.results)
    computed = [name for name in known if name in structure.nodes]
    assert sorted(computed) == sorted(structure.nodes)


def test_a_value_is_saved_where_a_derivative_reads_it():
    program = lower(parse_equations("a = tanh(linear(x, h))\nb = a + h\nh' = b * b"))
    saved = {value.name for value in program.values if value.backward == "save"}
    assert {"a", "b", "h", program.new_states[0]} <= saved
    assert "linear_1" not in saved


@pytest.mark.parametrize("name", ["forward", "half", "input_projection", *vars(nn.Module())])
def test_names_that_torch_needs_are_refused(name):
    with pytest.raises(ConfigError, match=f"'{name}'.*Rename it"):
        lower(parse_equations(f"h' = tanh(linear(x, name={name}) + linear(h))"))


def test_a_name_taken_twice_is_refused():
    nodes = {"a": Node("linear", ("x",), weights="b"), "b": Node("linear", ("h",)), "s": Node("add", ("a", "b"))}
    with pytest.raises(ConfigError, match="another node has"):
        lower(Structure(("h",), nodes, {"h": "s"}))
